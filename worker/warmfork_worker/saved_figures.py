"""Knows which figure was saved to which file, and whether it changed since.

matplotlib tells every change of an artist to its figure by ``stale``, and forgets it at the next draw. So ``savefig``
clears the mark when it is done, and the mark is looked at before every draw and at the end: set means changed. A few
artists are not connected to their figure (an annotation's arrow, a text's box, an axes' background); saving
connects them.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from types import FunctionType
from typing import Any, Final

TITLE_CHARS_MAX: Final = 500
MEDIA_TYPES: Final = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "jpeg": "image/jpeg",
}


@dataclass(frozen=True, slots=True)
class SavedFigure:
    """One file that ``savefig`` wrote and that nothing has written to since.

    Attributes:
        path: resolved absolute path.
        format: ``png``, ``svg``, ``pdf`` or ``jpeg``.
        figure_number, title: of the figure as it was when it was saved; the number is None outside pyplot.
        dpi: pixels per inch the file was asked for.
        figure: the figure, as long as it lives.
    """

    path: str
    format: str
    figure_number: int | None
    title: str
    dpi: float
    figure: weakref.ref[Any]
    _stamp: tuple[int, int, int]
    _changes: int

    def shows(self, figure: Any) -> bool:
        """True when this file is a picture of ``figure`` as it is now."""
        return self.figure() is figure and _count_changes(figure) == self._changes


@dataclass(slots=True)
class _Watch:
    """How often a figure was seen changed, and what ``stale`` does not tell of it."""

    changes: int = 0
    unmarked: Any = None


@dataclass(slots=True)
class _Ledger:
    files: dict[str, SavedFigure] = field(default_factory=dict)
    watches: weakref.WeakKeyDictionary[Any, _Watch] = field(default_factory=weakref.WeakKeyDictionary)
    saving: set[int] = field(default_factory=set)


_ledger: Final = _Ledger()


def watch_saves() -> None:
    """Record from now on every ``savefig`` to a file. Call it once in the template; again changes nothing."""
    module = import_module("matplotlib.figure")
    figure_class: Any = module.Figure
    for name, watching in (("savefig", _saving), ("draw", _drawing)):
        original = getattr(figure_class, name)
        if not hasattr(original, "warmfork_watches"):
            watched = _within(module, watching(original))
            watched.warmfork_watches = True
            setattr(figure_class, name, watched)


def saved_files() -> tuple[SavedFigure, ...]:
    """All recorded files that are still as ``savefig`` left them, in the order of their last saving."""
    return tuple(saved for saved in _ledger.files.values() if _stamp(saved.path) == saved._stamp)


def forget_saves() -> None:
    """Drop all records."""
    _ledger.files.clear()
    _ledger.watches.clear()


def figure_title(figure: Any) -> str:
    """The figure's own title, else that of its first axes, else empty; at most 500 characters."""
    suptitle = getattr(figure, "_suptitle", None)
    candidates = [suptitle.get_text()] if suptitle is not None else []
    for axes in figure.axes[:1]:
        candidates += [axes.get_title(loc) for loc in ("center", "left", "right")]
    return next((str(text) for text in candidates if text), "")[:TITLE_CHARS_MAX]


def figure_number(figure: Any) -> int | None:
    """pyplot's number of the figure; None where pyplot does not manage it."""
    number = getattr(getattr(figure.canvas, "manager", None), "num", None)
    return number if isinstance(number, int) else None


def _within(module: Any, function: Any) -> Any:
    """``function`` as if it stood in ``module``: matplotlib's warnings then name the caller's line, not ours."""
    code = function.__code__.replace(co_filename=module.__file__)
    moved = FunctionType(code, {**globals(), "__name__": module.__name__}, closure=function.__closure__)
    return wraps(function.__wrapped__)(moved)


def _saving(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def savefig(self: Any, fname: Any, *args: Any, **kwargs: Any) -> Any:
        _count_changes(self)
        outermost = id(self) not in _ledger.saving
        _ledger.saving.add(id(self))
        try:
            result = original(self, fname, *args, **kwargs)
        finally:
            if outermost:
                _ledger.saving.discard(id(self))
        _record(self, fname, kwargs)
        return result

    return savefig


def _drawing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Saving sets the mark by itself (colours, sizes, dpi) and draws; that is no change of the figure.
        if id(self) not in _ledger.saving:
            _count_changes(self)
        return original(self, *args, **kwargs)

    return draw


def _count_changes(figure: Any) -> int:
    watch = _ledger.watches.get(figure)
    if watch is None:
        return 0
    try:
        unmarked: Any = _unmarked(figure)
    except Exception:  # An artist of the job's own that cannot be asked counts as changed.
        unmarked = object()
    if figure.stale or unmarked != watch.unmarked:
        watch.changes += 1
        watch.unmarked = unmarked
        figure.stale = False
    return watch.changes


def _record(figure: Any, fname: Any, options: dict[str, Any]) -> None:
    try:
        path, kind = _target(fname, options)
        if not path and figure not in _ledger.watches:
            return  # Into a file object, and no file shows this figure: there is nothing to tell apart.
        _connect_all(figure)
        watch = _ledger.watches.setdefault(figure, _Watch())
        watch.unmarked = _unmarked(figure)
        figure.stale = False
        stamp = _stamp(path) if kind in MEDIA_TYPES else None
        if stamp is None:
            return
        _ledger.files.pop(path, None)  # Saved again: last in order, and no longer a picture of another figure.
        number, title, dpi = figure_number(figure), figure_title(figure), _dpi(figure, options)
        _ledger.files[path] = SavedFigure(path, kind, number, title, dpi, weakref.ref(figure), stamp, watch.changes)
    except Exception as error:  # The file is saved and that is what the job asked for; the record is only ours.
        _ledger.files.clear()
        print(f"warmfork: saved figures are not tracked: {error}", file=sys.stderr)


def _target(fname: Any, options: dict[str, Any]) -> tuple[str, str]:
    """The path that ``savefig`` wrote to and its format; two empty strings for a file object."""
    if not isinstance(fname, (str, os.PathLike)):
        return "", ""
    path = os.fspath(fname)
    kind = options.get("format") or os.path.splitext(path)[1][1:]
    if not kind:
        kind = import_module("matplotlib").rcParams["savefig.format"]
        path = f"{path.rstrip('.')}.{kind}"
    kind = str(kind).lower()
    return os.path.realpath(path), "jpeg" if kind == "jpg" else kind


def _dpi(figure: Any, options: dict[str, Any]) -> float:
    dpi = options.get("dpi") or import_module("matplotlib").rcParams["savefig.dpi"]
    return float(figure.dpi if dpi == "figure" else dpi)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _connect_all(figure: Any) -> None:
    """Let every artist tell the figure of its changes, those too that matplotlib leaves unconnected."""
    for artist in figure.findobj():
        if artist.stale_callback is None and artist is not figure:
            artist.stale_callback = _mark_figure
        for part in (getattr(artist, "arrow_patch", None), getattr(artist, "_bbox_patch", None)):
            if part is not None and part.stale_callback is None:
                part.stale_callback = _marking(artist)


def _marking(whole: Any) -> Callable[[Any, bool], None]:
    # A text's box and arrow do not know their figure; their text does.
    def mark(_part: Any, stale: bool) -> None:
        whole.stale = stale

    return mark


def _mark_figure(artist: Any, stale: bool) -> None:
    figure = artist.figure
    while figure is not None and getattr(figure, "figure", figure) is not figure:
        figure = figure.figure  # Out of a subfigure.
    if figure is not None:
        figure.stale = stale


def _unmarked(figure: Any) -> tuple[Any, ...]:
    """What can be changed by plain assignment, with no mark set."""
    engine = figure.get_layout_engine()
    layout = None if engine is None else (type(engine).__name__, repr(engine.get()))
    annotated = (repr(artist.xy) for artist in figure.findobj(lambda artist: hasattr(artist, "xyann")))
    return layout, tuple(annotated)

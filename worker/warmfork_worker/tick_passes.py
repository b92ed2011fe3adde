"""Finds an axis' ticks once in one look at it: matplotlib does so three times, for the labels, their box and the spine.

Between the three matplotlib draws the ticks and places the axis' label. Where the job's own code has a say in any of it (a
locator, formatter or scale of its own; a tick's line or label of its own class, with path effects or a filter) it is asked
as often as ever: what it prints, counts or changes stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from typing import Any, Final

from warmfork_worker.text_layout import measures_quietly

_TICKS: Final = "_warmfork_ticks"
_BOXES: Final = "_warmfork_boxes"
_CALL_THE_JOB: Final = frozenset({"FuncFormatter", "FuncScale", "FuncScaleLog"})


def find_ticks_once() -> bool:
    """Let every axis find its ticks once in each ``draw`` and ``get_tightbbox``. False where matplotlib is built differently."""
    axis_class: Any = import_module("matplotlib.axis").Axis
    if not all(
        hasattr(axis_class, name) for name in ("_update_ticks", "_get_ticklabel_bboxes", "get_tightbbox", "draw")
    ):
        return False
    if not hasattr(axis_class._update_ticks, "warmfork_keeps"):
        axis_class._update_ticks = _remembering(axis_class._update_ticks)
        axis_class._get_ticklabel_bboxes = _remembering_boxes(axis_class._get_ticklabel_bboxes)
        axis_class.get_tightbbox = _one_look(axis_class.get_tightbbox)
        axis_class.draw = _one_look(axis_class.draw)
    return True


def _one_look(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def look(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        if _TICKS in own or not _is_matplotlibs(self):
            return original(self, *args, **kwargs)
        own[_TICKS] = own[_BOXES] = None
        try:
            return original(self, *args, **kwargs)
        finally:
            del own[_TICKS], own[_BOXES]

    return look


def _remembering(original: Callable[..., Any]) -> Any:
    @wraps(original)
    def _update_ticks(self: Any) -> Any:
        own = self.__dict__
        if _TICKS not in own:
            return original(self)
        ticks = own[_TICKS]
        if ticks is None:
            ticks = own[_TICKS] = original(self)
        return list(ticks)

    remembering: Any = _update_ticks
    remembering.warmfork_keeps = True
    return remembering


def _remembering_boxes(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def _get_ticklabel_bboxes(self: Any, ticks: Any, renderer: Any) -> Any:
        own = self.__dict__
        if _BOXES not in own:
            return original(self, ticks, renderer)
        kept = own[_BOXES]
        if kept is None or kept[0] is not renderer or kept[1] != ticks:
            boxes = original(self, ticks, renderer)
            if not all(measures_quietly(label) for tick in ticks for label in (tick.label1, tick.label2)):
                return boxes
            kept = own[_BOXES] = (renderer, list(ticks), boxes)
        first, second = kept[2]
        return list(first), list(second)

    return _get_ticklabel_bboxes


def _is_matplotlibs(axis: Any) -> bool:
    """Whether no code of the job's own takes part in finding or drawing the ticks of this axis."""
    try:
        major, minor = axis.major, axis.minor
        parts = (major.locator, major.formatter, minor.locator, minor.formatter, axis._scale, axis, axis.axes)
    except AttributeError:
        return False
    return (
        all(_comes_with_matplotlib(part) and type(part).__name__ not in _CALL_THE_JOB for part in parts)
        and not any(map(_formats_by_call, (major.formatter, minor.formatter)))
        and all(map(_draws_quietly, _ticks_made(axis)))
    )


def _comes_with_matplotlib(thing: object) -> bool:
    return type(thing).__module__.startswith(("matplotlib.", "mpl_toolkits."))


def _formats_by_call(formatter: Any) -> bool:
    scaled = getattr(formatter, "scaled", None)  # an AutoDateFormatter's formats: texts, or functions
    return isinstance(scaled, dict) and any(map(callable, scaled.values()))


def _ticks_made(axis: Any) -> Iterator[Any]:
    # Past the attributes: asking for them makes ticks, and those are matplotlib's.
    for name in ("majorTicks", "minorTicks"):
        yield from axis.__dict__.get(name, ())


def _draws_quietly(tick: Any) -> bool:
    return _comes_with_matplotlib(tick) and all(
        _comes_with_matplotlib(artist)
        and not artist._path_effects
        and artist._agg_filter is None
        and "draw" not in artist.__dict__
        for artist in (tick.gridline, tick.tick1line, tick.tick2line, tick.label1, tick.label2)
    )

"""Finds an axis' ticks once in one look at it: matplotlib does so three times, for the labels, their box and the spine.

Nothing but matplotlib's own placing of the axis' label runs between the three. Only where the job's own code has a say in
them (a locator, a formatter or a scale of its own) is it asked as often as ever: what it prints, or counts, stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
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
    """Whether no code of the job's own takes part in finding the ticks of this axis."""
    try:
        major, minor = axis.major, axis.minor
        parts = (major.locator, major.formatter, minor.locator, minor.formatter, axis._scale, axis)
    except AttributeError:
        return False
    return all(
        type(part).__module__.startswith(("matplotlib.", "mpl_toolkits.")) and type(part).__name__ not in _CALL_THE_JOB
        for part in parts
    )

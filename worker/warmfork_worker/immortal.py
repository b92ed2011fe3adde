"""What the template holds taken out of reference counting, once it has settled: ``_immortal.c`` does it.

That is what the garbage collector can reach, and the constants and names of code; not what only C code knows of.

A worker copies each page that it writes to, and what it writes to most is the reference counts of whatever its code
touches. Python 3.12 has objects that are not counted (PEP 683): the template makes everything that it holds such
objects. Nothing of it is freed any more, which a process of one job does not need; what wants the only reference to an
object (``ndarray.resize``) refuses one of these. Before Python 3.12, and where the
native part was not built, objects stay counted, and a job costs more.
"""

from __future__ import annotations

import gc
import platform
import types
from dataclasses import dataclass
from typing import Final

_LEFT_OUT: Final = (types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
"""What runs, or waits to go on: the interpreter looks at their counts to see who keeps their variables."""


@dataclass(frozen=True, slots=True)
class ImmortalReport:
    """What became of the objects.

    Attributes:
        objects: that are not counted any more, besides those that Python itself does not count.
        detail: so many, or why none.
    """

    objects: int
    detail: str


def make_immortal(*, wanted: bool) -> ImmortalReport:
    """Let every object that the garbage collector knows, and what these refer to, be counted no more.

    Not those that are frozen (``gc.freeze``): they are not told apart from garbage. One thread only.

    Args:
        wanted: False leaves all as it is.
    """
    if not wanted:
        return ImmortalReport(0, "switched off (pool.immortal_objects)")
    try:
        from warmfork_worker._immortal import immortalize
    except ImportError as problem:
        return ImmortalReport(0, f"its native part was not built when warmfork was installed ({problem})")
    objects = immortalize(gc.get_objects(), _LEFT_OUT, types.CodeType)
    if objects is None:
        return ImmortalReport(0, f"Python {platform.python_version()} counts every object; 3.12 and later need not")
    return ImmortalReport(objects, f"{objects} objects")

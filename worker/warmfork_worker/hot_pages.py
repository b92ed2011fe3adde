"""Gives a worker its own copy of the pages that it will write to, in one go instead of one by one.

A worker shares the template's pages until it writes to them, and each first write costs a fault. They are nearly the same ones
every time: a child of the template does what a worker will, and another tells which they were (``learner``).

Any job meets some thirty pages between its order and its report that no dry run comes to, because what writes there cannot
be taken back (the policy is put on, say), or because that code has not run here before. Those are copied, or mapped where they
are only read, while the worker waits. Drawing a chart writes to 5,000, which a worker whose code is seen to draw has copied
before it runs. (For tables, with 2,300 pages, it did not pay.)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from warmfork_worker.kernel.numbers import this_machine
from warmfork_worker.kernel.rules import PIDFD_SELF
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.learner import Learnt, Lesson, Vectors
from warmfork_worker.png import ChartFile

MADV_POPULATE_READ: Final = 22
MADV_POPULATE_WRITE: Final = 23
_VECTORS_MAX: Final = 256  # of a call: where one cannot be served, the rest of its call is not either
_WORD_BYTES: Final = 8
_PART_OF_MEMORY: Final = 4

_DRAWS: Final = re.compile(rb"\b(?:plt|pyplot|pylab|sns|seaborn|Figure)\b|\.(?:plot|hist|boxplot)\b")

# Looked up here: the guard lets nothing be loaded later.
_syscall: Final = ctypes.PyDLL(None).syscall
_syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_long, ctypes.c_long]
_syscall.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class HotPages:
    """Pages by what writes to them.

    Attributes:
        chart: what drawing one wrote to.
    """

    chart: Vectors

    def populate_for(self, code: bytes | memoryview, memory_bytes: int = 0) -> int:
        """Copy what code like this will write to; how many bytes those are. Where the kernel will not, nothing is lost.

        Args:
            code: the job's.
            memory_bytes: what it may use, in which the copies count; 0 where that is of no interest. Code that only speaks
                of drawing must not be ended for them, so one that has little copies what it writes to, and no more.
        """
        if not _DRAWS.search(code) or 0 < memory_bytes < _PART_OF_MEMORY * sum(self.chart[1::2]):
            return 0
        return _populate(self.chart)


def _populate(vectors: Vectors) -> int:
    done, count = 0, len(vectors) // 2
    for first in range(0, count, _VECTORS_MAX):
        address = ctypes.addressof(vectors) + 2 * _WORD_BYTES * first
        done += max(0, _advise(address, min(_VECTORS_MAX, count - first)))
    return done


def _advise(address: int, count: int) -> int:
    number = this_machine().numbers["process_madvise"]
    return int(_syscall(number, PIDFD_SELF, address, count, MADV_POPULATE_WRITE, 0))


def can_populate() -> bool:
    """Whether this kernel copies several ranges of one's own pages at a word (PIDFD_SELF: Linux 6.14)."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    memory = ctypes.create_string_buffer(2 * page_bytes)
    start = -(-ctypes.addressof(memory) // page_bytes) * page_bytes
    vectors = (ctypes.c_size_t * 2)(start, page_bytes)
    with contextlib.suppress(OSError):  # an architecture whose numbers are not known
        return _populate(vectors) == page_bytes
    return False


def add_populate(steps: Steps, learnt: Learnt) -> None:
    """Have a worker copy and map these pages; where the kernel will not, nothing is lost."""
    for vectors, advice in ((learnt.written, MADV_POPULATE_WRITE), (learnt.mapped, MADV_POPULATE_READ)):
        for first in range(0, len(vectors), 2 * _VECTORS_MAX):
            count = min(2 * _VECTORS_MAX, len(vectors) - first)
            ranges = (ctypes.c_size_t * count).from_buffer_copy(vectors, first * _WORD_BYTES)
            steps.add_hint("process_madvise", PIDFD_SELF, ranges, count // 2, advice, 0)


def draw_chart() -> None:
    """What every chart does: two axes with lines, bars and all kinds of text, as a tight PNG."""
    plt: Any = import_module("matplotlib.pyplot")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    left.plot([0.0, 2.5, 5.0], [0.1, 0.9, 0.4], label="first")
    left.plot([0.0, 2.5, 5.0], [0.5, 0.2, 0.8], label="second")
    left.legend()
    left.set_title("Title")
    left.set_xlabel("x")
    right.bar(["a", "b", "c", "d"], [3, 7, 2, 5])
    right.set_ylabel("count")
    right.set_title("标题")
    figure.savefig(ChartFile(), format="png", bbox_inches="tight")


CHART: Final = Lesson(lambda _first: (), draw_chart)

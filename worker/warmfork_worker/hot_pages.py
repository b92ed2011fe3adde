"""Gives a worker its own copy of the pages that it will write to, in one go instead of one by one.

A worker shares the template's pages until it writes to them, and each first write costs a fault. They are nearly the same ones
every time: a child of the template does what a worker will, and tells which they were.

Any job writes to some twenty pages between its order and its report that no dry run comes to, because what writes there cannot
be taken back (the policy is put on, say). Those are copied while the worker waits. Drawing a chart writes to 5,000, which
a worker whose code is seen to draw has copied before it runs. (For tables, with 2,300 pages, it did not pay.)
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NoReturn

from warmfork_worker.kernel import calls, proc
from warmfork_worker.kernel.numbers import this_machine
from warmfork_worker.kernel.rules import PIDFD_SELF
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.png import ChartFile

MADV_POPULATE_WRITE: Final = 23
_VECTORS_MAX: Final = 256  # of a call: where one cannot be served, the rest of its call is not either
_WORD_BYTES: Final = 8
_LEARN_S: Final = 60
_PART_OF_MEMORY: Final = 4

# Bits of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
_PRESENT: Final = 1 << 63
_OF_FILE: Final = 1 << 61
_EXCLUSIVE: Final = 1 << 56
_WRITTEN: Final = _PRESENT | _EXCLUSIVE

_DRAWS: Final = re.compile(rb"\b(?:plt|pyplot|pylab|sns|seaborn|Figure)\b|\.(?:plot|hist|boxplot)\b")

# Looked up here: the guard lets nothing be loaded later.
_syscall: Final = ctypes.PyDLL(None).syscall
_syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_long, ctypes.c_long]
_syscall.restype = ctypes.c_long

Vectors = ctypes.Array[ctypes.c_size_t]
"""What process_madvise(2) takes: an address and a length in bytes, again and again."""


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


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a child does to see what it writes to.

    Attributes:
        prepare: done first, and not looked at.
        work: looked at.
    """

    prepare: Callable[[], None]
    work: Callable[[], None]


class Learner:
    """A child of the template that does some work and tells which of the template's pages that wrote to.

    The template goes on serving meanwhile.

    Args:
        before: called in the child first.
        lesson: what it does.

    Attributes:
        fd: readable when there is something to ``read``.
    """

    def __init__(self, before: Callable[[], None], lesson: Lesson) -> None:
        self.fd, writing = os.pipe()
        self._told = bytearray()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self.fd)
            os.close(writing)
            raise
        if self._pid == 0:
            _tell(before, lesson, writing)
        os.close(writing)

    def read(self) -> bool:
        """Take what there is, without waiting; False when that was all, and the child is reaped."""
        data = os.read(self.fd, 1 << 20)
        self._told += data
        if not data:
            os.close(self.fd)
            os.waitpid(self._pid, 0)
        return bool(data)

    def learnt(self) -> Vectors | None:
        """What was learnt; None where it came to nothing."""
        told = bytes(self._told)
        count = int.from_bytes(told[:_WORD_BYTES], sys.byteorder)
        if count == 0 or len(told) != (1 + count) * _WORD_BYTES:
            return None
        # Not by way of Python's integers: what the template leaves lying about, every worker's memory counts.
        return (ctypes.c_size_t * count).from_buffer_copy(told, _WORD_BYTES)


def add_populate(steps: Steps, vectors: Vectors) -> None:
    """Have a worker copy these pages; where the kernel will not, nothing is lost."""
    for first in range(0, len(vectors), 2 * _VECTORS_MAX):
        count = min(2 * _VECTORS_MAX, len(vectors) - first)
        ranges = (ctypes.c_size_t * count).from_buffer_copy(vectors, first * _WORD_BYTES)
        steps.add_hint("process_madvise", PIDFD_SELF, ranges, count // 2, MADV_POPULATE_WRITE, 0)


def _tell(before: Callable[[], None], lesson: Lesson, writing: int) -> NoReturn:
    try:
        calls.die_with_parent()
        before()
        signal.alarm(_LEARN_S)
        # It must look at its own pages. Nothing of a job, and no secret, has ever been in this process.
        calls.set_dumpable(True)
        _send(writing, _written_by(lesson))
    finally:
        os._exit(0)


def _send(writing: int, words: array.array[int]) -> None:
    left = array.array("Q", [len(words)]).tobytes() + words.tobytes()
    while left:
        left = left[os.write(writing, left) :]


def _written_by(lesson: Lesson) -> array.array[int]:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    fd = proc.open_own("pagemap", os.O_RDONLY)  # beforehand: a policy that the work puts on lets nothing be opened
    places = _private_places()
    lesson.prepare()
    before = _written(fd, places, page_bytes)
    with contextlib.suppress(Exception):  # a library that is missing leaves it with what it wrote to until then
        lesson.work()
    return _ranges(sorted(_written(fd, places, page_bytes) - before), page_bytes)


def _private_places() -> list[tuple[int, int]]:
    """First and past the last address of each mapping that is written to and is not the stack."""
    places = []
    for line in proc.read_own("maps").decode("utf-8", "replace").splitlines():
        span, modes, _, _, _, *name = line.split(maxsplit=5)
        if modes.startswith("rw-p") and not (name and name[0].startswith(("[stack", "[v"))):
            first, last = (int(word, 16) for word in span.split("-"))
            places.append((first, last))
    return places


def _written(fd: int, places: Sequence[tuple[int, int]], page_bytes: int) -> set[int]:
    """Addresses of the pages in ``places`` that are this process's own, by its pagemap."""
    found: set[int] = set()
    for first, last in places:
        count = (last - first) // page_bytes
        entries = array.array("Q", os.pread(fd, count * _WORD_BYTES, first // page_bytes * _WORD_BYTES))
        found.update(
            first + place * page_bytes
            for place, entry in enumerate(entries)
            if entry & _WRITTEN == _WRITTEN and not entry & _OF_FILE
        )
    return found


def _ranges(pages: Sequence[int], page_bytes: int) -> array.array[int]:
    ranges = array.array("Q")
    for page in pages:
        if ranges and ranges[-2] + ranges[-1] == page:
            ranges[-1] += page_bytes
        else:
            ranges.extend((page, page_bytes))
    return ranges


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


CHART: Final = Lesson(lambda: None, draw_chart)

"""Learns which of a template's pages some work meets: a pupil does it, and another child looks at its memory from outside.

Two children for it, because who looks writes to pages itself, and must not take its own for those of the work. Nor may the
pupil come after it: what the pupil allocates is to lie where a worker's lies.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from warmfork_worker.kernel import calls, proc
from warmfork_worker.kernel.steps import Steps

_WORD_BYTES: Final = 8
_LEARN_S: Final = 60
_STEP: Final = b"."

# Bits of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
_PRESENT: Final = 1 << 63
_OF_FILE: Final = 1 << 61
_EXCLUSIVE: Final = 1 << 56

_AROUND_BYTES: Final = 1 << 16
"""A fault that reads maps what lies around it in the cache as well, aligned to so much (fault_around_bytes, mm/memory.c)."""

Vectors = ctypes.Array[ctypes.c_size_t]
"""What process_madvise(2) takes: an address and a length in bytes, again and again."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the pupil does.

    Attributes:
        arrange: called in the template before; adds to the first system calls of the pupil, and returns descriptors that the
            pupil alone needs.
        work: what is looked at.
    """

    arrange: Callable[[Steps], Sequence[int]]
    work: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Pages that the work met.

    Attributes:
        written: which became its own.
        mapped: which it read and had not had in its page table: one of each piece that the kernel maps together.
    """

    written: Vectors
    mapped: Vectors


class Learner:
    """Two children of the template: one does some work, one tells which of the template's pages that met.

    The template goes on serving meanwhile.

    Args:
        before: called first in the one that looks.
        lesson: what the other does.
        not_for_pupil: descriptors of the template's that it closes first of all.

    Attributes:
        fd: readable when there is something to ``read``.

    Raises OSError where they cannot be had.
    """

    def __init__(self, before: Callable[[], None], lesson: Lesson, not_for_pupil: Sequence[int] = ()) -> None:
        self._told = bytearray()
        self._pids: list[int] = []
        self.fd, telling = os.pipe()
        only_for_children = [telling]
        try:
            ours, theirs = (end.detach() for end in socket.socketpair())
            only_for_children += [ours, theirs]
            first = Steps()
            calls.die_with_parent(first)
            for fd in (telling, ours, *not_for_pupil):  # the first two, or nobody would see the other close it
                first.add("close", fd)
            # So that the other may look. No job has ever been in this process, and its way to the daemon is closed.
            calls.set_dumpable(True, first)
            only_for_children += lesson.arrange(first)
            self._fork(lambda: _be_pupil(lesson, theirs, first))
            pupil = self._pids[0]
            self._fork(lambda: _tell(before, pupil, ours, theirs, telling))
        except OSError:
            os.close(self.fd)
            self._end()
            raise
        finally:
            for fd in only_for_children:
                os.close(fd)

    def _fork(self, child: Callable[[], NoReturn]) -> None:
        pid = os.fork()
        if pid == 0:
            child()
        self._pids.append(pid)

    def _end(self) -> None:
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def read(self) -> bool:
        """Take what there is, without waiting; False when that was all, and the children are reaped."""
        data = os.read(self.fd, 1 << 20)
        self._told += data
        if not data:
            os.close(self.fd)
            self._end()
        return bool(data)

    def learnt(self) -> Learnt | None:
        """What was learnt; None where it came to nothing."""
        told = bytes(self._told)
        if len(told) < 2 * _WORD_BYTES:
            return None
        written, mapped = (int.from_bytes(told[at : at + _WORD_BYTES], sys.byteorder) for at in (0, _WORD_BYTES))
        if written == 0 or len(told) != (2 + written + mapped) * _WORD_BYTES:
            return None
        # Not by way of Python's integers: what the template leaves lying about, every worker's memory counts.
        return Learnt(
            (ctypes.c_size_t * written).from_buffer_copy(told, 2 * _WORD_BYTES),
            (ctypes.c_size_t * mapped).from_buffer_copy(told, (2 + written) * _WORD_BYTES),
        )


def _be_pupil(lesson: Lesson, fd: int, first: Steps) -> NoReturn:
    """Nothing here but the lesson that a worker does not do as well, or too much would be taken for what a worker meets."""
    try:
        first.run()
        os.write(fd, _STEP)
        os.read(fd, 1)
        with contextlib.suppress(Exception):  # a library that is missing leaves it with what it met until then
            lesson.work()
        os.write(fd, _STEP)
        os.read(fd, 1)
    finally:
        os._exit(0)


def _tell(before: Callable[[], None], pupil: int, link: int, others_end: int, telling: int) -> NoReturn:
    try:
        calls.die_with_parent()
        os.close(others_end)
        before()
        signal.alarm(_LEARN_S)
        written, mapped = _pages_met(pupil, link)
        left = array.array("Q", [len(written), len(mapped)]).tobytes() + written.tobytes() + mapped.tobytes()
        while left:
            left = left[os.write(telling, left) :]
    finally:
        os._exit(0)


def _pages_met(pupil: int, link: int) -> tuple[array.array[int], array.array[int]]:
    """What the pupil wrote to since it was forked, and what it read and had not in its page table before its work."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    places = _places()
    fd = -1
    looks = []
    for _ in range(2):
        if not os.read(link, 1):
            raise ChildProcessError("the pupil ended before it had done its work")
        fd = proc.open_of_child(pupil, "pagemap") if fd < 0 else fd  # which it has become dumpable for
        looks.append([_entries(fd, first, last, page_bytes) for first, last, _ in places])
        os.write(link, _STEP)
    written: list[int] = []
    mapped: list[int] = []
    for (first, _, writable), entries_before, entries in zip(places, *looks, strict=True):
        piece = -1
        for index, entry in enumerate(entries):
            if not entry & _PRESENT:
                continue
            page = first + index * page_bytes
            if writable and entry & _EXCLUSIVE and not entry & _OF_FILE:
                written.append(page)
            elif not entries_before[index] & _PRESENT and page // _AROUND_BYTES != piece:
                piece = page // _AROUND_BYTES
                mapped.append(page)
    return _ranges(written, page_bytes), _ranges(mapped, page_bytes)


def _places() -> list[tuple[int, int, bool]]:
    """First and past the last address of each mapping that can be read, in order; whether it is private and written to."""
    places = []
    for line in proc.read_own("maps").decode("utf-8", "replace").splitlines():
        span, modes, _, _, _, *name = line.split(maxsplit=5)
        if modes.startswith("r") and not (name and name[0].startswith("[v")):
            first, last = (int(word, 16) for word in span.split("-"))
            places.append((first, last, modes.startswith("rw-p")))
    return places


def _entries(fd: int, first: int, last: int, page_bytes: int) -> array.array[int]:
    """What a process's pagemap has of each page from ``first`` to ``last``."""
    count = (last - first) // page_bytes
    return array.array("Q", os.pread(fd, count * _WORD_BYTES, first // page_bytes * _WORD_BYTES))


def _ranges(pages: Iterable[int], page_bytes: int) -> array.array[int]:
    ranges = array.array("Q")
    for page in pages:
        if ranges and ranges[-2] + ranges[-1] == page:
            ranges[-1] += page_bytes
        else:
            ranges.extend((page, page_bytes))
    return ranges

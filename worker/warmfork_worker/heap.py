"""The template's heap out of the page tables: once, when nothing in it changes any more, ``_heap.c`` moves it.

A fork afterwards copies next to nothing, whatever was preloaded. Native code does it, and a machine without a compiler
has none: then, and wherever something else stands in the way, the heap stays where it is, and forks cost more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from warmfork_worker.kernel import proc

if TYPE_CHECKING:
    from warmfork_worker._heap import Moved

_GAP_PAGES: Final = 32
"""Fewer untouched pages than this between two touched ones move with them: memory, once, for a mapping less in each fork."""
_MAPPINGS_LEFT: Final = 4_096
"""What a worker needs to map for itself."""


@dataclass(frozen=True, slots=True)
class HeapReport:
    """What became of the heap.

    Attributes:
        moved_bytes: out of the page tables; what a worker reads of it counts as its shared memory. 0: nothing was.
        detail: what was moved, or why nothing or not all of it was.
        ranges: addresses, (first, past the last), of what was moved.
        digests: of what was moved, before and after, where that was asked for.
    """

    moved_bytes: int
    detail: str
    ranges: tuple[tuple[int, int], ...] = ()
    digests: tuple[int, int] = (0, 0)


class Heap:
    """Moves this process's heap, once. Nothing of it ever raises.

    Made early: what it looks at cannot be opened any more by a process that is not dumpable.

    Args:
        wanted: False leaves the heap where it is.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._fds: tuple[int, ...] = ()
        self._move: Callable[[int, int, int, int, int, bool], Moved] | None = None
        self._problem = "switched off (pool.heap_memfd)"
        self._looked = False
        if not wanted:
            return
        try:
            from warmfork_worker._heap import brings_jemalloc, move
        except ImportError as problem:
            self._problem = f"its native part was not built when warmfork was installed ({problem})"
            return
        opened: list[int] = []
        try:
            opened += [proc.open_own("pagemap", os.O_RDONLY), proc.open_own("smaps", os.O_RDONLY)]
            opened += [proc.open_own("task", os.O_RDONLY | os.O_DIRECTORY)]
        except OSError as problem:
            self._problem = f"/proc/self cannot be read: {problem.strerror}"
            _close(opened)
            return
        self._move, self._brings_jemalloc = move, brings_jemalloc
        self._fds, self._problem = tuple(opened), ""

    def look(self) -> None:
        """See whether it may move. Before the mappings of libraries are joined, while constants are told from code."""
        if self._move is None or self._looked:
            return
        self._looked = True
        try:
            found = self._brings_jemalloc(self._fds[1])
        except OSError as problem:
            self._give_up(str(problem))
            return
        if found:
            self._give_up("a preloaded library brings jemalloc, which needs discarded pages to be zero")

    def _give_up(self, problem: str) -> None:
        self._move, self._problem = None, problem
        _close(self._fds)

    def move(self, *, compare: bool = False) -> HeapReport:
        """Move it. One thread only; whatever this process writes afterwards is its own again, and forks copy it.

        Args:
            compare: digest the memory before and after, for tests.
        """
        self.look()
        if self._move is None:
            return HeapReport(0, self._problem)
        move, self._move, self._problem = self._move, None, "it was moved before"
        pagemap_fd, smaps_fd, task_fd = self._fds
        try:
            moved = move(smaps_fd, pagemap_fd, task_fd, _mappings_max() - _MAPPINGS_LEFT, _GAP_PAGES, compare)
        except OSError as problem:
            return HeapReport(0, str(problem))
        finally:
            _close(self._fds)
        return HeapReport(moved["bytes"], _describe(moved), tuple(moved["ranges"]), moved["digests"])


def _close(fds: list[int] | tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


def _mappings_max() -> int:
    fd = proc.open_own(
        "../sys/vm/max_map_count", os.O_RDONLY
    )  # beside our own in the host's /proc, the only one there is
    try:
        return int(os.read(fd, 32))
    finally:
        os.close(fd)


def _describe(moved: Moved) -> str:
    told = f"{moved['bytes'] >> 20} MiB in {len(moved['ranges'])} pieces"
    if moved["huge_bytes"]:
        told += f", {moved['huge_bytes'] >> 20} MiB of it on huge pages"
    if moved["split_bytes"]:
        told += f"; {moved['split_bytes'] >> 20} MiB are not on huge pages any more"
    if moved["left_huge_bytes"]:
        told += f"; {moved['left_huge_bytes'] >> 20} MiB on huge pages stay"
    if moved["errno"]:
        told += f"; the rest stays: {os.strerror(moved['errno'])}"
    return told

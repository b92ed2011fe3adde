"""Fewer mappings for a fork to copy, once the template has settled: the parts of a library's code that lie side by side are one.

A linker lays a library out as constants, code, constants: three mappings of one file, one after the other, that differ in
their rights alone. fork(2) copies each mapping, and exit(2) takes each down, whether it is used or not, and of the template's
half are of this kind. Mapped anew as one that may be read and run, they hold the same bytes at the same addresses. What may be
written is never among them; that constants can be run takes nothing from the guard, under which a job may run what it likes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from warmfork_worker.kernel import calls, proc

_HEADER: Final = re.compile(
    rb"(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>[-rwxsp]{4}) (?P<offset>[0-9a-f]+) "
    rb"(?P<device>[0-9a-f]+:[0-9a-f]+) (?P<inode>[0-9]+) *(?P<path>/.*)?"
)
_READ: Final = b"r--p"
_RUN: Final = b"r-xp"
_PLAIN: Final = frozenset({b"rd", b"ex", b"mr", b"mw", b"me", b"sd"})
"""Flags of a mapping (proc(5), VmFlags) that a new one of code has as well; with others, such as ``bt`` or ``lo``, it stays."""
_MREMAP_MAYMOVE: Final = 1
_MREMAP_FIXED: Final = 2

File = tuple[bytes, int]
"""Device, as /proc tells it, and inode."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping of a file.

    Attributes:
        start, end: addresses, the second past its last.
        rights: as /proc tells them, such as ``r-xp``.
        offset: in the file, of its first byte.
        file: that it is of.
        path: of the file.
        own_bytes: of it that are not the file's any more, in memory or swapped out.
        is_plain: it has no flag that a new mapping would not have.
    """

    start: int
    end: int
    rights: bytes
    offset: int
    file: File
    path: bytes
    own_bytes: int
    is_plain: bool


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What became of the mappings.

    Attributes:
        joined: how many fewer there are.
        detail: so many of how many, or why none.
    """

    joined: int
    detail: str


class Mappings:
    """Joins this process's mappings of code, once. Nothing of it ever raises.

    Made early: what it looks at cannot be opened any more by a process that is not dumpable.

    Args:
        wanted: False leaves all as it is.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._fd = -1
        self._problem = "switched off (pool.joined_mappings)"
        if wanted:
            try:
                self._fd = proc.open_own("smaps", os.O_RDONLY)
            except OSError as problem:
                self._problem = f"/proc/self cannot be read: {problem.strerror}"

    def join(self) -> JoinReport:
        """Join them. One thread only."""
        if self._fd < 0:
            return JoinReport(0, self._problem)
        fd, self._fd, self._problem = self._fd, -1, "they were joined before"
        try:
            with open(fd, "rb") as smaps:
                found = list(mappings_of(smaps))
                joined = _join(list(side_by_side(found)), smaps)
        except OSError as problem:
            return JoinReport(0, f"/proc/self cannot be read: {problem.strerror}")
        return JoinReport(joined, f"{joined} of {len(found)} joined to their neighbours")


def _join(groups: Sequence[list[Mapping]], smaps: BinaryIO) -> int:
    """Join these groups; how many mappings fewer that makes."""
    wholes = [_map_elsewhere(group) for group in groups]
    try:
        smaps.seek(0)
        files = {one.start: one.file for one in mappings_of(smaps)}
    except OSError:
        files = {}
    joined = 0
    for group, whole in zip(groups, wholes, strict=True):
        if whole and files.get(whole) == group[0].file and _move(whole, group):
            joined += len(group) - 1
        elif whole:
            calls.call("munmap", whole, _size(group))
    return joined


def _size(group: Sequence[Mapping]) -> int:
    return group[-1].end - group[0].start


def _map_elsewhere(group: Sequence[Mapping]) -> int:
    """One mapping of what the group is said to be of, where there is room; 0 where there can be none.

    Whether it is the same file is seen afterwards, by what /proc says of it: fstat(2) says something else on overlayfs and btrfs.
    """
    fd = -1
    try:
        # A path that is something else by now must not be waited for.
        fd = os.open(group[0].path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        rights = mmap.PROT_READ | mmap.PROT_EXEC
        return calls.call("mmap", 0, _size(group), rights, mmap.MAP_PRIVATE, fd, group[0].offset)
    except OSError:  # replaced or gone since it was loaded; or it may not be mapped any more
        return 0
    finally:
        if fd >= 0:
            os.close(fd)


def _move(whole: int, group: Sequence[Mapping]) -> bool:
    """Put a mapping into the place of the group, in one go.

    Not by a new one over it: where the file system refuses that late, the kernel has taken the old one away.
    """
    start, size = group[0].start, _size(group)
    if ctypes.string_at(whole, mmap.PAGESIZE) != ctypes.string_at(start, mmap.PAGESIZE):
        return False  # two snapshots of a file have the same numbers
    try:
        calls.call("mremap", whole, size, size, _MREMAP_MAYMOVE | _MREMAP_FIXED, start)
    except OSError:
        return False
    return True


def mappings_of(lines: Iterable[bytes]) -> Iterator[Mapping]:
    """What /proc/PID/smaps tells, without mappings of no file."""
    header: re.Match[bytes] | None = None
    own_bytes = 0
    for line in lines:
        if found := _HEADER.match(line):
            header, own_bytes = (found if found["path"] else None), 0
        elif header is not None and line.startswith((b"Anonymous:", b"Swap:")):
            own_bytes += int(line.split()[1]) * 1024
        elif header is not None and line.startswith(b"VmFlags:"):  # the last line of each
            yield Mapping(
                int(header["start"], 16),
                int(header["end"], 16),
                header["rights"],
                int(header["offset"], 16),
                (header["device"], int(header["inode"])),
                header["path"],
                own_bytes,
                _PLAIN.issuperset(line.split()[1:]),
            )


def side_by_side(mappings: Iterable[Mapping]) -> Iterator[list[Mapping]]:
    """Groups that one mapping can take the place of: code, and constants around it, as they follow each other in the file."""
    group: list[Mapping] = []
    for mapping in mappings:
        if group and not _goes_on(group[-1], mapping):
            yield from _worth(group)
            group = []
        if _may_join(mapping):
            group.append(mapping)
    yield from _worth(group)


def _may_join(one: Mapping) -> bool:
    return one.rights in (_READ, _RUN) and not one.own_bytes and one.is_plain


def _goes_on(one: Mapping, other: Mapping) -> bool:
    follows = (one.end, one.file, one.offset + one.end - one.start) == (other.start, other.file, other.offset)
    return follows and _may_join(other)


def _worth(group: list[Mapping]) -> Iterator[list[Mapping]]:
    if len(group) > 1 and any(one.rights == _RUN for one in group):
        yield group

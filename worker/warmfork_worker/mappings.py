"""Fewer mappings for a fork to copy, once the template has settled: the parts of a library's code that lie side by side are one.

A linker lays a library out as constants, code, constants: three mappings of one file, one after the other, that differ in
their rights alone. fork(2) copies each mapping, and exit(2) takes each down, whether it is used or not, and of the template's
half are of this kind. Mapped anew as one that may be read and run, they hold the same bytes at the same addresses. What may be
written is never among them; that constants can be run takes nothing from the guard, under which a job may run what it likes.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from warmfork_worker.kernel import calls, proc

_HEADER: Final = re.compile(
    rb"(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>[-rwxsp]{4}) (?P<offset>[0-9a-f]+) "
    rb"(?P<device>[0-9a-f]+:[0-9a-f]+) (?P<inode>[0-9]+) *(?P<path>/.*)?"
)
_READ: Final = b"r--p"
_RUN: Final = b"r-xp"
_MAP_FIXED: Final = 0x10  # <asm-generic/mman-common.h>


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
        own_bytes: of it that are not the file's any more.
    """

    start: int
    end: int
    rights: bytes
    offset: int
    file: File
    path: bytes
    own_bytes: int


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
        with open(fd, "rb") as smaps:
            found = list(mappings_of(smaps))
            groups = list(side_by_side(found))
            joined = _join(groups, lambda: {one.start: one.file for one in _again(smaps)})
        return JoinReport(joined, f"{joined} of {len(found)} joined to their neighbours")


def _again(smaps: BinaryIO) -> Iterator[Mapping]:
    smaps.seek(0)
    return mappings_of(smaps)


def _join(groups: Sequence[list[Mapping]], now_mapped: Callable[[], dict[int, File]]) -> int:
    """Join these groups; how many mappings fewer that makes."""
    fds = [_opened(group[0].path) for group in groups]
    trials = [_mapped(0, mmap.PAGESIZE, mmap.PROT_READ, 0, fd, 0) for fd in fds]
    # A file is told by what /proc says of a mapping of it: fstat(2) says something else on overlayfs and on btrfs.
    files = now_mapped()
    joined = 0
    for group, fd, trial in zip(groups, fds, trials, strict=True):
        if trial and files.get(trial) == group[0].file:
            size = group[-1].end - group[0].start
            whole = _mapped(group[0].start, size, mmap.PROT_READ | mmap.PROT_EXEC, _MAP_FIXED, fd, group[0].offset)
            joined += len(group) - 1 if whole else 0
        if trial:
            calls.call("munmap", trial, mmap.PAGESIZE)
        if fd >= 0:
            os.close(fd)
    return joined


def _opened(path: bytes) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # replaced or gone since it was loaded
        return -1


def _mapped(address: int, size: int, rights: int, flags: int, fd: int, offset: int) -> int:
    """A private mapping; 0 where there is none."""
    try:
        return calls.call("mmap", address, size, rights, mmap.MAP_PRIVATE | flags, fd, offset)
    except OSError:
        return 0


def mappings_of(lines: Iterable[bytes]) -> Iterator[Mapping]:
    """What /proc/PID/smaps tells, without mappings of no file."""
    header: re.Match[bytes] | None = None
    for line in lines:
        if found := _HEADER.match(line):
            header = found if found["path"] else None
        elif header is not None and line.startswith(b"Anonymous:"):
            yield Mapping(
                int(header["start"], 16),
                int(header["end"], 16),
                header["rights"],
                int(header["offset"], 16),
                (header["device"], int(header["inode"])),
                header["path"],
                int(line.split()[1]) * 1024,
            )


def side_by_side(mappings: Iterable[Mapping]) -> Iterator[list[Mapping]]:
    """Groups that one mapping can take the place of: code, and constants around it, as they follow each other in the file."""
    group: list[Mapping] = []
    for mapping in mappings:
        if group and not _goes_on(group[-1], mapping):
            yield from _worth(group)
            group = []
        if mapping.rights in (_READ, _RUN) and not mapping.own_bytes:
            group.append(mapping)
    yield from _worth(group)


def _goes_on(one: Mapping, other: Mapping) -> bool:
    return (
        (one.end, one.file, one.offset + one.end - one.start) == (other.start, other.file, other.offset)
        and other.rights in (_READ, _RUN)
        and not other.own_bytes
    )


def _worth(group: list[Mapping]) -> Iterator[list[Mapping]]:
    if len(group) > 1 and any(one.rights == _RUN for one in group):
        yield group

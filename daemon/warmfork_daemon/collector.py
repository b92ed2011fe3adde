"""Collecting the files a job left in its working directory, by the daemon itself, after the job's process is dead.

Every step opens one path component below a descriptor, without following links and without blocking, and looks at
what it opened (never at what a name promised). Counts, depth and sizes are bounded before anything is read.

Why component by component and not ``openat2(RESOLVE_BENEATH | …)``: a name from the directory itself has no slash, so
one ``openat`` with O_NOFOLLOW resolves nothing that could lead away, and it needs no syscall that a container's own
filter may refuse. What the directory calls a device, a FIFO, a socket or a link is not opened at all, since opening
alone can do something (rewind a tape, wake a writer).

A file with more than one hard link is dropped. Workers cannot make links, so its other name was made by somebody else;
where the kernel's ``protected_hardlinks`` is off, it could be a file that root may read and the job could not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire import limits
from warmfork.wire.jobs import REPORT_HEADER_BYTES_MAX
from warmfork.wire.names import check_file_name

# Beyond this many entries the rest is not even counted: the daemon's loop waits while it looks.
ENTRIES_COUNTED_MAX: Final = 131_072
NAMES_BYTES_MAX: Final = 352 * limits.KIB
_NAME_OVERHEAD_BYTES: Final = 160  # what a reply's header says about a file besides its name, if it is a chart
_DEPTH_MAX: Final = 8
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_READ_BYTES: Final = limits.MIB

_SIGNATURES_BYTES: Final = 64 * limits.CHARTS_MAX
_OTHER_BYTES: Final = 2 * limits.INLINE_BYTES_MAX + 4 * limits.KIB
assert REPORT_HEADER_BYTES_MAX + NAMES_BYTES_MAX + _SIGNATURES_BYTES + _OTHER_BYTES <= limits.HEADER_BYTES_MAX, (
    "a reply's header takes the report's texts, the names of the files and the signatures"
)


@dataclass(slots=True)
class Collected:
    """What was found.

    Attributes:
        files: bytes by relative path, in order of path.
        dropped: entries that were over a bound, could not be read, changed under the reader, are not regular files of
            one name, or have a name that does not travel. Of a directory with over 131,072 entries, at least so many.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    dropped: int = 0


def is_empty(work_fd: int, empty_bytes: int = 0) -> bool:
    """True when the directory has no entry at all; False, too, where it cannot be looked at for lack of descriptors.

    Args:
        work_fd: the directory.
        empty_bytes: the size that it has without an entry, for one of a tmpfs, where each entry adds to it (BOGO_DIRENT_SIZE in
            the kernel's mm/shmem.c): one question answers it, and every job's end waits for that.
    """
    if empty_bytes:
        return os.fstat(work_fd).st_size == empty_bytes
    try:
        with os.scandir(work_fd) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def collect(
    work_fd: int, given: Mapping[str, bytes | memoryview], *, files_max: int, file_bytes_max: int, bytes_max: int
) -> Collected:
    """Read the new and changed regular files below a directory. What fails on one entry costs that entry alone.

    Args:
        work_fd: a descriptor of the directory.
        given: the files that were put there before the job; those with the same bytes are left out.
        files_max: number of files; of entries looked at, four times as many.
        file_bytes_max: size of each file.
        bytes_max: size of all together.
    """
    collection = _Collection(given, files_max, file_bytes_max, bytes_max)
    collection.add_directory(work_fd, "", _DEPTH_MAX)
    return collection.collected


class _Collection:
    """One walk over one working directory, with what is left of each bound."""

    __slots__ = (
        "_bytes_left",
        "_counted_left",
        "_entries_left",
        "_file_bytes_max",
        "_files_left",
        "_given",
        "_given_directories",
        "_names_bytes_left",
        "collected",
    )

    def __init__(
        self, given: Mapping[str, bytes | memoryview], files_max: int, file_bytes_max: int, bytes_max: int
    ) -> None:
        self._given = given
        self._given_directories = {str(parent) for name in given for parent in PurePosixPath(name).parents}
        self._counted_left = ENTRIES_COUNTED_MAX
        self._entries_left = 4 * files_max + 64
        self._files_left = files_max
        self._file_bytes_max = file_bytes_max
        self._bytes_left = bytes_max
        self._names_bytes_left = NAMES_BYTES_MAX
        self.collected = Collected()

    def add_directory(self, fd: int, prefix: str, depth: int) -> None:
        """Take every entry of an open directory; ``prefix`` is its path with a slash, empty for the first one."""
        for name in self._names(fd):
            try:
                path = check_file_name(prefix + name)
                inner = os.open(name, _FILE_FLAGS, dir_fd=fd)
            except (ProtocolError, OSError):  # a name that does not travel; a link, a file that may not be read
                self.collected.dropped += 1
                continue
            try:
                self._add_opened(inner, path, depth)
            except OSError:
                self.collected.dropped += 1
            finally:
                os.close(inner)

    def _names(self, fd: int) -> list[str]:
        """Sorted names of the regular files and directories that may still be looked at; the others are counted."""
        names = []
        with os.scandir(fd) as entries:
            for entry in entries:
                if self._counted_left == 0:
                    break
                self._counted_left -= 1
                if self._entries_left > 0 and _is_file_or_directory(entry):
                    names.append(entry.name)
                else:
                    self.collected.dropped += 1
                self._entries_left -= 1
        return sorted(names)

    def _add_opened(self, fd: int, path: str, depth: int) -> None:
        facts = os.fstat(fd)
        if stat.S_ISDIR(facts.st_mode) and (depth > 1 or path in self._given_directories):
            self.add_directory(fd, path + "/", depth - 1)
        elif not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
            self.collected.dropped += 1
        elif not self._is_given(fd, path, facts.st_size):
            self._add_file(fd, path, facts)

    def _is_given(self, fd: int, path: str, size: int) -> bool:
        original = self._given.get(path)
        if original is None or len(original) != size:
            return False
        if _read(fd, size) == original:
            return True
        os.lseek(fd, 0, os.SEEK_SET)
        return False

    def _add_file(self, fd: int, path: str, facts: os.stat_result) -> None:
        name_bytes = len(path.encode()) + _NAME_OVERHEAD_BYTES
        fits = facts.st_size <= min(self._bytes_left, self._file_bytes_max) and name_bytes <= self._names_bytes_left
        data = _read(fd, facts.st_size) if fits and self._files_left > 0 else None
        if data is None or not _is_unchanged(facts, os.fstat(fd)) or len(data) != facts.st_size:
            self.collected.dropped += 1
            return
        self._files_left -= 1
        self._bytes_left -= len(data)
        self._names_bytes_left -= name_bytes
        self.collected.files[path] = data


def _is_file_or_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _read(fd: int, size: int) -> bytes:
    """The next ``size`` bytes of a file, fewer at its end; never more, whatever it has grown to."""
    pieces = []
    while size:
        piece = os.read(fd, min(size, _READ_BYTES))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)

"""Collecting the files a job left in its working directory, by the daemon itself, after the job's process is dead.

Every step opens one path component below a descriptor, without following links and without blocking, and looks at
what it opened (never at what a name promised). Counts, depth and sizes are bounded before anything is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire.names import check_file_name

_DEPTH_MAX: Final = 8
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY_FLAGS: Final = _FILE_FLAGS | os.O_DIRECTORY


@dataclass(slots=True)
class Collected:
    """What was found.

    Attributes:
        files: bytes by relative path, in order of path.
        dropped: entries that were over a bound, not regular files, or of a name that does not travel.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    dropped: int = 0


def is_empty(work_fd: int) -> bool:
    """True when the directory has no entry at all."""
    with os.scandir(work_fd) as entries:
        return next(entries, None) is None


def collect(
    work_fd: int, given: Mapping[str, bytes | memoryview], *, files_max: int, file_bytes_max: int, bytes_max: int
) -> Collected:
    """Read the new and changed regular files below a directory.

    Args:
        work_fd: a descriptor of the directory.
        given: the files that were put there before the job; those with the same bytes are left out.
        files_max: number of files; of entries looked at, four times as many.
        file_bytes_max: size of each file.
        bytes_max: size of all together.
    """
    collected = Collected()
    budget = _Budget(entries=4 * files_max + 64, files=files_max, bytes_=bytes_max, file_bytes=file_bytes_max)
    _collect_directory(work_fd, "", _DEPTH_MAX, given, budget, collected)
    return collected


@dataclass(slots=True)
class _Budget:
    entries: int
    files: int
    bytes_: int
    file_bytes: int


def _collect_directory(
    fd: int, prefix: str, depth: int, given: Mapping[str, bytes | memoryview], budget: _Budget, collected: Collected
) -> None:
    names = []
    with os.scandir(fd) as entries:
        for entry in entries:
            budget.entries -= 1
            if budget.entries < 0:
                collected.dropped += 1
                continue
            names.append(entry.name)
    for name in sorted(names):
        try:
            path = check_file_name(prefix + name)
        except ProtocolError:
            collected.dropped += 1
            continue
        try:
            inner = os.open(name, _FILE_FLAGS, dir_fd=fd)
        except OSError:  # a symlink, a socket, a file without read permission
            collected.dropped += 1
            continue
        try:
            _collect_opened(inner, path, depth, given, budget, collected)
        finally:
            os.close(inner)


def _collect_opened(
    fd: int, path: str, depth: int, given: Mapping[str, bytes | memoryview], budget: _Budget, collected: Collected
) -> None:
    facts = os.fstat(fd)
    if stat.S_ISDIR(facts.st_mode):
        if depth > 1 or any(name.startswith(path + "/") for name in given):
            _collect_directory(fd, path + "/", depth - 1, given, budget, collected)
        else:
            collected.dropped += 1
        return
    original = given.get(path)
    if stat.S_ISREG(facts.st_mode) and original is not None and len(original) == facts.st_size:
        if _read(fd, facts.st_size) == original:
            return
        os.lseek(fd, 0, os.SEEK_SET)
    fits = facts.st_size <= min(budget.bytes_, budget.file_bytes) and budget.files > 0
    if not stat.S_ISREG(facts.st_mode) or not fits:
        collected.dropped += 1
        return
    data = _read(fd, facts.st_size)
    if len(data) != facts.st_size:
        collected.dropped += 1
        return
    budget.files -= 1
    budget.bytes_ -= len(data)
    collected.files[path] = data


def _read(fd: int, size: int) -> bytes:
    pieces = []
    while size:
        piece = os.read(fd, size)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)

"""A caller's directory, as a job sees it: its regular files go along, new and changed ones come back.

All of it runs with the caller's own rights, in the caller's process. What comes back was named and written by a job, so
nothing here follows a symbolic link, leaves the directory, or replaces anything but a regular file; every file appears
whole, by a rename, or not at all. Deletions by the job are not repeated here.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire.limits import MIB, NESTING_MAX
from warmfork.wire.names import check_file_name

FILES_BYTES_MAX: Final = 48 * MIB
FILES_MAX: Final = 512
ENTRIES_MAX: Final = 10_000
assert FILES_MAX < ENTRIES_MAX

_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY: Final = re.compile(r"\.warmfork-(?P<pid>[0-9]{1,10})-[0-9a-f]{16}\.tmp")


@dataclass(frozen=True, slots=True)
class Collected:
    """What ``collect`` found.

    Attributes:
        files: bytes by relative path.
        left_out: regular files that were not taken, each with its reason; links and special files are not named.
    """

    files: Mapping[str, bytes] = field(repr=False)
    left_out: tuple[str, ...] = ()


def collect(root: str | Path) -> Collected:
    """Read the regular files below ``root``: at most 512 of them, 48 MiB together, nearest to the root first."""
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    bytes_left = FILES_BYTES_MAX
    for entries, (name, directory_fd) in enumerate(_walk(root, left_out), start=1):
        if entries > ENTRIES_MAX:
            left_out.append(f"whatever comes after the first {ENTRIES_MAX} files")
            break
        try:
            data = _read_regular(name, directory_fd, bytes_left if len(files) < FILES_MAX else -1)
        except (OSError, ProtocolError, _TooLargeError) as problem:
            left_out.append(f"{name!r} ({_reason(problem)})")
            continue
        if data is not None:
            files[name] = data
            bytes_left -= len(data)
    return Collected(files, tuple(left_out))


def write_back(root: str | Path, files: Mapping[str, bytes], sent: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write a job's ``files`` below ``root``, skipping those that are as they were ``sent``.

    A replaced file keeps its permissions. Returns the names that could not be written, each with its reason.
    """
    failed: list[str] = []
    changed = {name: data for name, data in files.items() if sent.get(name) != data}
    if not changed:
        return ()
    try:
        os.makedirs(root, exist_ok=True)
        root_fd = os.open(os.path.realpath(root), _DIRECTORY_FLAGS)
    except OSError as problem:
        return tuple(f"{name!r} ({_reason(problem)})" for name in changed)
    try:
        for name, data in changed.items():
            try:
                _write_below(root_fd, check_file_name(name).split("/"), data)
            except (OSError, ProtocolError) as problem:
                failed.append(f"{name!r} ({_reason(problem)})")
    finally:
        os.close(root_fd)
    return tuple(failed)


class _TooLargeError(Exception):
    """The bounds on what travels leave no room for this file."""


def _reason(problem: Exception) -> str:
    if isinstance(problem, _TooLargeError):
        return f"over {FILES_MAX} files or {FILES_BYTES_MAX // MIB} MiB in all"
    if isinstance(problem, OSError):
        return problem.strerror or type(problem).__name__
    return "name not allowed"


def _walk(root: str | Path, left_out: list[str]) -> Iterator[tuple[str, int]]:
    """Relative paths of what is not a directory, each with a descriptor of the directory that holds it."""
    # fwalk looks at the root as it looks at everything, without following links; the caller's root may well be one.
    top = os.path.realpath(root)

    def unreadable(problem: OSError) -> None:
        left_out.append(f"{os.path.relpath(problem.filename or top, top)!r} ({problem.strerror})")

    for path, directories, names, directory_fd in os.fwalk(top, onerror=unreadable, follow_symlinks=False):
        below = os.path.relpath(path, top)
        prefix = "" if below == os.curdir else below + "/"
        directories.sort()
        if prefix.count("/") >= NESTING_MAX:
            directories.clear()
        for name in sorted(names):
            leftover = _TEMPORARY.fullmatch(name)
            if leftover:
                _remove_if_orphaned(name, int(leftover["pid"]), directory_fd)
            else:
                yield prefix + name, directory_fd


def _read_regular(path: str, directory_fd: int, bytes_max: int) -> bytes | None:
    """The file's bytes; None for what is not a regular file or has just gone."""
    name = path.rpartition("/")[2]
    try:
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return None
        check_file_name(path)
        if status.st_size > bytes_max:
            raise _TooLargeError
        file_fd = os.open(name, _READ_FLAGS, dir_fd=directory_fd)
    except FileNotFoundError:
        return None
    with open(file_fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(file_fd).st_mode):  # it was swapped between the two calls
            return None
        data = file.read(bytes_max + 1)  # it may have grown meanwhile
    if len(data) > bytes_max:
        raise _TooLargeError
    return data


def _write_below(root_fd: int, components: Sequence[str], data: bytes) -> None:
    directory_fd = os.dup(root_fd)
    try:
        for part in components[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=directory_fd)
            inner_fd = os.open(part, _DIRECTORY_FLAGS, dir_fd=directory_fd)
            os.close(directory_fd)
            directory_fd = inner_fd
        _replace(directory_fd, components[-1], data)
    finally:
        os.close(directory_fd)


def _replace(directory_fd: int, name: str, data: bytes) -> None:
    mode: int | None = None
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "something that is not a regular file is there", name)
        mode = stat.S_IMODE(status.st_mode)
    temporary = f".warmfork-{os.getpid()}-{secrets.token_hex(8)}.tmp"
    file_fd = os.open(temporary, _WRITE_FLAGS, 0o666, dir_fd=directory_fd)
    try:
        with open(file_fd, "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file_fd, mode & 0o777)
        os.replace(temporary, name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory_fd)
        raise


def _remove_if_orphaned(name: str, pid: int, directory_fd: int) -> None:
    """Remove the temporary file of a process that was killed between writing and renaming it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory_fd)
    except (PermissionError, OverflowError):
        pass

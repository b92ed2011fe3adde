"""Reading and writing one's own /proc entries, also where no /proc is mounted any more.

The private root of the template has no /proc; a descriptor of the host's, opened before, still leads to ``self``. It is
closed in each worker before the job is read.
"""

from __future__ import annotations

import os
from typing import Final

from warmfork_worker.kernel.steps import Steps

_AT_FDCWD: Final = -100
_root_fd = -1


def keep_open() -> None:
    """Open the host's /proc for later."""
    global _root_fd
    if _root_fd < 0:
        _root_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def open_own(name: str, flags: int) -> int:
    """A descriptor of /proc/self/``name``. Raises OSError."""
    if _root_fd < 0:
        return os.open(f"/proc/self/{name}", flags | os.O_CLOEXEC)
    return os.open(f"self/{name}", flags | os.O_CLOEXEC, dir_fd=_root_fd)


def read_own(name: str) -> bytes:
    """All of /proc/self/``name``. Raises OSError."""
    fd = open_own(name, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(fd, 65_536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def write_own(name: str, text: str, later: Steps | None = None) -> None:
    """Write to /proc/self/``name`` in one write(2), at once or as steps of ``later``. Raises OSError."""
    steps = later or Steps()
    what, data = f"writing /proc/self/{name}", text.encode("ascii")
    path = f"/proc/self/{name}" if _root_fd < 0 else f"self/{name}"
    at = _root_fd if _root_fd >= 0 else _AT_FDCWD
    fd = steps.add_into_place("openat", at, path.encode(), os.O_WRONLY | os.O_CLOEXEC, 0, what=what)
    steps.add("write", fd, data, len(data), expect=len(data), what=what)
    steps.add("close", fd)
    if later is not None:
        return
    try:
        steps.run()
    except OSError:
        if steps.value(fd) >= 0:
            os.close(steps.value(fd))
        raise


def list_own(name: str) -> list[str]:
    """The entries of the directory /proc/self/``name``. Raises OSError."""
    fd = open_own(name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def own_pid_outside() -> int:
    """This process's pid as the daemon sees it."""
    return int(os.readlink("/proc/self" if _root_fd < 0 else "self", dir_fd=None if _root_fd < 0 else _root_fd))


def open_of_child(pid: int, name: str) -> int:
    """A descriptor to read /proc/``pid``/``name`` of a child, which must be dumpable. Raises OSError.

    Its number is another where /proc is that of an outer pid namespace; a pidfd tells it (fdinfo of pidfd_open(2)).
    """
    if _root_fd < 0:
        return os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    pidfd = os.pidfd_open(pid)
    try:
        _, _, after = read_own(f"fdinfo/{pidfd}").partition(b"\nPid:")
    finally:
        os.close(pidfd)
    return os.open(f"{int(after.split(None, 1)[0])}/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=_root_fd)


def thread_count() -> int:
    """Threads of this process by the kernel's count; ``threading`` does not see native pools.

    The link count of the directory is two more than that (proc_task_getattr in the kernel's fs/proc/base.c); to ask for it
    takes no descriptor, which a process that has none left could not have.
    """
    if _root_fd < 0:
        return os.stat("/proc/self/task").st_nlink - 2
    return os.stat("self/task", dir_fd=_root_fd).st_nlink - 2


def thread_ids() -> frozenset[str]:
    """The threads of this process, each by the kernel's number. Raises OSError."""
    return frozenset(list_own("task"))


def writable_code() -> list[str]:
    """Mappings of this process that are writable and executable at once, as lines of /proc/self/maps."""
    lines = read_own("maps").decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.split(" ", 2)[1].startswith(("rwx", "-wx"))]


def address_space_bytes() -> int:
    """Virtual memory of this process."""
    return int(read_own("statm").split()[0]) * os.sysconf("SC_PAGE_SIZE")

"""Landlock: which files a worker may reach, and that it connects, binds and signals nowhere (<linux/landlock.h>)."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from warmfork_worker.kernel import calls

_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH: Final = 1
_LOG_SAME_EXEC_OFF: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in (4, 5))
_MAKE_DIR, _MAKE_REG = (1 << bit for bit in (7, 8))
_REFER, _TRUNCATE = (1 << bit for bit in (13, 14))

READ_FILE: Final = _READ_FILE
READ_TREE: Final = _READ_FILE | _READ_DIR
USE_DEVICE: Final = _READ_FILE | _WRITE_FILE
JOB_TREE: Final = READ_TREE | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _MAKE_DIR | _REMOVE_FILE | _REMOVE_DIR | _REFER
"""Never MAKE_SYM, MAKE_FIFO, MAKE_SOCK, MAKE_CHAR, MAKE_BLOCK, EXECUTE or IOCTL_DEV."""

# File rights known to each version of the interface: 13, then REFER, TRUNCATE and IOCTL_DEV came one by one.
_FS_RIGHTS_COUNT: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_FS_RIGHTS_COUNT_NEWEST: Final = 16
TRUNCATE_SINCE: Final = 3
_NET_SINCE: Final = 4
_SCOPES_SINCE: Final = 6
_QUIET_SINCE: Final = 7
_ALL_NET: Final = 0b11  # BIND_TCP, CONNECT_TCP
_ALL_SCOPES: Final = 0b11  # ABSTRACT_UNIX_SOCKET, SIGNAL


class _RulesetAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("fs", "net", "scoped"))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """The version of the kernel's Landlock, 0 where there is none or it is switched off."""
    try:
        return calls.call("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


class Ruleset:
    """A ruleset that handles all that this kernel's Landlock can. Shared over fork: make one in each worker.

    Args:
        version: as ``abi()`` said.
    """

    def __init__(self, version: int) -> None:
        self._version = version
        self._fs = (1 << _FS_RIGHTS_COUNT.get(version, _FS_RIGHTS_COUNT_NEWEST)) - 1
        net = _ALL_NET if version >= _NET_SINCE else 0
        scopes = _ALL_SCOPES if version >= _SCOPES_SINCE else 0
        record = _RulesetAttributes(self._fs, net, scopes)
        size = 24 if version >= _SCOPES_SINCE else 16 if version >= _NET_SINCE else 8
        self._fd = calls.call("landlock_create_ruleset", record, size, 0)

    def allow(self, path_fd: int, rights: int) -> None:
        """Allow ``rights`` at and below the file or directory behind ``path_fd``."""
        calls.call("landlock_add_rule", self._fd, _PATH_BENEATH, _PathBeneath(rights & self._fs, path_fd), 0)

    def restrict_self(self) -> None:
        """Bind this thread, and all it starts, for good; needs no_new_privs. The ruleset is closed."""
        # A hostile job must not be able to fill the host's audit log either.
        flags = _LOG_SAME_EXEC_OFF if self._version >= _QUIET_SINCE else 0
        calls.call("landlock_restrict_self", self._fd, flags)
        os.close(self._fd)

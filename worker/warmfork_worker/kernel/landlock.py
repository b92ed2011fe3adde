"""Landlock: which files a worker may reach, and that it connects, binds and signals nowhere (<linux/landlock.h>)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Final

from warmfork_worker.kernel import calls
from warmfork_worker.kernel.steps import Place, Steps

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
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32), ("room_to_store", ctypes.c_int32))


def abi() -> int:
    """The version of the kernel's Landlock, 0 where there is none or it is switched off."""
    try:
        return calls.call("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


def add_ruleset(steps: Steps, version: int, grants: Iterable[tuple[int | Place, int]]) -> Place:
    """Make a ruleset that handles all that this kernel's Landlock can; its descriptor's place.

    A ruleset is shared over fork, so each worker makes its own.

    Args:
        steps: of the worker.
        version: as ``abi()`` said.
        grants: descriptors of files and directories, with the rights at and below them.
    """
    fs = (1 << _FS_RIGHTS_COUNT.get(version, _FS_RIGHTS_COUNT_NEWEST)) - 1
    net = _ALL_NET if version >= _NET_SINCE else 0
    scopes = _ALL_SCOPES if version >= _SCOPES_SINCE else 0
    size = 24 if version >= _SCOPES_SINCE else 16 if version >= _NET_SINCE else 8
    ruleset = steps.add_into_place("landlock_create_ruleset", _RulesetAttributes(fs, net, scopes), size, 0)
    for fd, rights in grants:
        record = _PathBeneath(rights & fs, fd if isinstance(fd, int) else -1, 0)
        if isinstance(fd, Place):
            steps.store(record, _PathBeneath.parent_fd.offset, fd)
        steps.add("landlock_add_rule", ruleset, _PATH_BENEATH, record, 0)
    return ruleset


def add_restriction(steps: Steps, version: int, ruleset: Place) -> None:
    """Bind the worker, and all it starts, for good; needs no_new_privs."""
    # A hostile job must not be able to fill the host's audit log either.
    flags = _LOG_SAME_EXEC_OFF if version >= _QUIET_SINCE else 0
    steps.add("landlock_restrict_self", ruleset, flags)

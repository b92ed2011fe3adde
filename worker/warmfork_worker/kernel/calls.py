"""The system calls that Python has no function for, each a ctypes call that raises OSError.

Numbers and structures from <linux/prctl.h>, <linux/capability.h>, <linux/mount.h>, <linux/seccomp.h>. Resolved at import,
in the template: a guarded worker looks nothing up. What workers do too takes ``later``: the steps to add it to, instead
of doing it now.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

from warmfork_worker.kernel.numbers import this_machine
from warmfork_worker.kernel.steps import Place, Steps

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
MNT_DETACH: Final = 2
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
_OPEN_TREE_CLONE: Final = 1
_FSOPEN_CLOEXEC: Final = 1
_FSMOUNT_CLOEXEC: Final = 1
_FSCONFIG_SET_STRING: Final = 1
_FSCONFIG_CMD_CREATE: Final = 6
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000

CAP_SYS_ADMIN: Final = 21
_CAP_LAST: Final = 63
_CAPABILITY_VERSION_3: Final = 0x20080522

_SECCOMP_SET_MODE_FILTER: Final = 1

_libc: Final = ctypes.CDLL(None, use_errno=True)
_syscall: Final = _libc.syscall
_syscall.restype = ctypes.c_long


def call(name: str, *arguments: int | bytes | ctypes.Structure | None) -> int:
    """Make the system call ``name``. Integers go as C longs, bytes and structures by address, None as NULL.

    Raises OSError with the call's name in its message.
    """
    passed = [_as_word(argument) for argument in arguments]
    result = int(_syscall(ctypes.c_long(this_machine().numbers[name]), *passed))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _as_word(argument: object) -> object:
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    if isinstance(argument, ctypes.Structure):
        return ctypes.byref(argument)
    return argument


def _do(later: Steps | None, name: str, *arguments: int | bytes | ctypes.Structure | None, what: str = "") -> None:
    if later is not None:
        later.add(name, *arguments, what=what)
        return
    try:
        call(name, *arguments)
    except OSError as problem:
        raise OSError(problem.errno, f"{what or name}: {os.strerror(problem.errno or 0)}") from None


def _prctl(option: int, argument: int, later: Steps | None = None) -> None:
    _do(later, "prctl", option, argument, 0, 0, 0, what=f"prctl({option})")


def die_with_parent(later: Steps | None = None) -> None:
    """Ask the kernel for SIGKILL when the parent's thread that forked this process ends.

    A parent that is gone already sends nothing: compare ``os.getppid()`` afterwards. A change of uid clears it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, later)


def outlive_parent() -> None:
    """Take ``die_with_parent`` back."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def set_no_new_privileges(later: Steps | None = None) -> None:
    """Nothing that this process runs gains privileges by exec (prctl PR_SET_NO_NEW_PRIVS); cannot be undone."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, later)


def set_dumpable(dumpable: bool, later: Steps | None = None) -> None:
    """Whether others of this uid may trace this process and own its files in /proc."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable), later)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = tuple(
        (f"{kind}{part}", ctypes.c_uint32) for part in (0, 1) for kind in ("effective", "permitted", "inheritable")
    )


def keep_capabilities(*kept: int, later: Steps | None = None) -> None:
    """Give up every capability but these (numbers of <linux/capability.h>, all below 32)."""
    mask = sum(1 << number for number in kept)
    _do(later, "capset", _CapabilityHeader(_CAPABILITY_VERSION_3, 0), _CapabilityData(mask, mask, 0, 0, 0, 0))


def drop_bounding_set() -> None:
    """Empty the bounding set: no exec can bring a capability back. Needs CAP_SETPCAP."""
    for number in range(_CAP_LAST + 1):
        try:
            _prctl(_PR_CAPBSET_DROP, number)
        except OSError:
            return  # past the newest capability of this kernel


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install_filter(program: bytes, later: Steps | None = None) -> None:
    """Install a compiled seccomp filter for this thread and all it will start; needs no_new_privs."""
    _do(later, "seccomp", _SECCOMP_SET_MODE_FILTER, 0, _FilterProgram(len(program) // 8, program))


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd"))


def set_mount_attributes(fd: int, attributes: int, *, recursive: bool = True) -> None:
    """Set MOUNT_ATTR_* bits on the mount behind ``fd``, and on all below it."""
    record = _MountAttributes(attributes, 0, 0, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    call("mount_setattr", fd, b"", flags, record, ctypes.sizeof(record))


def add_tmpfs(steps: Steps, attributes: int, **options: str) -> tuple[Place, Place]:
    """Make a new tmpfs that is mounted nowhere yet. Options as in tmpfs(5).

    Returns:
        Places of two descriptors: of what it was made with, to be closed, and of the mount, which that one keeps.
    """
    context = steps.add_into_place("fsopen", b"tmpfs", _FSOPEN_CLOEXEC)
    for key, value in options.items():
        steps.add("fsconfig", context, _FSCONFIG_SET_STRING, key.encode(), value.encode(), 0)
    steps.add("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0)
    return context, steps.add_into_place("fsmount", context, _FSMOUNT_CLOEXEC, attributes)


def make_tmpfs(attributes: int, **options: str) -> int:
    """As ``add_tmpfs``, at once: the descriptor of the mount."""
    steps = Steps()
    context, mount = add_tmpfs(steps, attributes, **options)
    try:
        steps.run()
    finally:
        if steps.value(context) >= 0:
            os.close(steps.value(context))
    return steps.value(mount)


def clone_tree(path: str) -> int:
    """A detached copy of the mounts at ``path`` and below, by descriptor."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    return call("open_tree", AT_FDCWD, os.fsencode(path), flags)


def attach(mount_fd: int, path: str) -> None:
    """Mount the detached mount behind ``mount_fd`` at ``path``."""
    steps = Steps(1)
    add_attach(steps, steps.inputs[0], path)
    steps.run(mount_fd)


def add_attach(steps: Steps, mount_fd: Place, path: str) -> None:
    """As ``attach``, later."""
    steps.add("move_mount", mount_fd, b"", AT_FDCWD, os.fsencode(path), _MOVE_MOUNT_F_EMPTY_PATH)


def add_bind(steps: Steps, source: str, target: str) -> None:
    """Mount ``source`` at ``target`` too."""
    steps.add("mount", os.fsencode(source), os.fsencode(target), None, MS_BIND, None)


def make_private() -> None:
    """Let no mount event of this namespace reach another one."""
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)


def set_host_name(name: bytes) -> None:
    """Name this uts namespace, and give it no domain."""
    call("sethostname", name, len(name))
    call("setdomainname", b"", 0)


def detach(path: str) -> None:
    """Take a mount out of the tree; it ends with its last user."""
    call("umount2", os.fsencode(path), MNT_DETACH)

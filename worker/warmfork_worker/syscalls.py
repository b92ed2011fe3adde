"""The few prctl(2) calls that Python does not have. Numbers from <linux/prctl.h>."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.prctl.restype = ctypes.c_int


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent's thread that forked this process ends.

    A parent that is gone already sends nothing: compare ``os.getppid()`` afterwards.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def outlive_parent() -> None:
    """Take ``die_with_parent`` back."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def set_no_new_privileges() -> None:
    """Nothing that this process runs gains privileges by exec (prctl PR_SET_NO_NEW_PRIVS); cannot be undone."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)

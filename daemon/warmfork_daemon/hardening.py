"""What the daemon does to itself: it holds the key, so nobody of the same user may read its memory."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # <linux/prctl.h>


def refuse_dumps() -> None:
    """Make this process non-dumpable: no core file, no ptrace, no /proc/PID/mem for its own user. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_DUMPABLE): {os.strerror(number)}")

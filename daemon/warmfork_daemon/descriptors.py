"""File descriptors of this process: how many it may have, and which are never given to workers.

ZeroMQ 4.3 aborts the whole process when it accepts an ipc connection and there is no descriptor for it. So a share of them
is kept for connections, and the workers' ends of pipes are refused before that share is touched.
"""

from __future__ import annotations

import errno
import resource
from typing import Final

RESERVED: Final = 64
"""Kept free of workers: for connections, /proc, collecting files."""


def allowed() -> int:
    """How many descriptors this process may have open; asked each time, since it can be changed from outside."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_limit() -> None:
    """Take as many as the hard limit gives: the soft one is for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def refuse_reserved(fds: list[int]) -> None:
    """Raise OSError (EMFILE) when the newest of these descriptors comes near the limit: the kernel gives the lowest free."""
    if max(fds) >= allowed() - RESERVED:
        raise OSError(errno.EMFILE, f"only {RESERVED} descriptors are left, which are kept for connections and status")

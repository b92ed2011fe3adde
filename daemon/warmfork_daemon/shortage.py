"""When the machine runs out of something: told apart from defects, because it ends by itself."""

from __future__ import annotations

import errno
from typing import Final

_ERRNOS: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOBUFS)
)


def is_shortage(problem: BaseException) -> bool:
    """True for no memory, no descriptors, no processes, no space on the disk."""
    if isinstance(problem, MemoryError):
        return True
    return isinstance(problem, OSError) and problem.errno in _ERRNOS

"""What the template's allocators have free, before workers share it: tidied, and used up (``_fresh.c``).

A worker that takes a free piece copies the page that it lies in. Where none is left, it allocates in fresh memory, which
costs less, and what it allocates one after the other lies side by side.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Final

_LARGER_THAN_PIECES_BYTES: Final = 120_000
"""As large as a block can be that malloc does not map by itself, so that it looks at all that are free."""


@dataclass(frozen=True, slots=True)
class FreshReport:
    """What became of the free memory.

    Attributes:
        taken_bytes: of the template, that nobody uses any more; 0: what was free still is.
        detail: so much, or why not.
    """

    taken_bytes: int
    detail: str


def tidy_free_memory() -> None:
    """Let malloc(3) sort its free pieces now, once: each worker would, at its first allocation, and write to all of them."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    if hasattr(libc, "malloc_trim"):  # glibc's, which first joins pieces that lie side by side
        libc.malloc_trim(0)
        libc.free(libc.malloc(_LARGER_THAN_PIECES_BYTES))


def use_up_free_memory(*, wanted: bool) -> FreshReport:
    """Take every free piece of Python's allocator and of malloc(3), for good.

    Args:
        wanted: False leaves all as it is.
    """
    if not wanted:
        return FreshReport(0, "switched off (pool.fresh_memory)")
    try:
        from warmfork_worker._fresh import use_up
    except ImportError as problem:
        return FreshReport(0, f"its native part was not built when warmfork was installed ({problem})")
    taken = sum(use_up())
    return FreshReport(taken, f"{taken >> 10} KiB taken")

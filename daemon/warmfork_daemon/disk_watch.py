"""How much a job keeps on disk, for workers whose directory is no mount of its own and has no bound in the kernel.

Looked at from time to time, like memory; a job can run past its bound for as long as one interval.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import Final

_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES: Final = 512  # of st_blocks, whatever the file system's own are
_DEPTH_MAX: Final = 64


@dataclass(slots=True)
class Kept:
    """What stands below a directory.

    Attributes:
        bytes_: on disk, holes not counted.
        entries: files and directories; counting stops past the bound.
    """

    bytes_: int = 0
    entries: int = 0


def measure(path: str, entries_max: int) -> Kept:
    """Add up what is below ``path``. What cannot be looked at, or goes away meanwhile, counts as nothing.

    Args:
        path: a slot.
        entries_max: where to stop; the caller refuses that many anyway.
    """
    kept = Kept()
    with contextlib.suppress(OSError):
        _measure(os.open(path, _FLAGS), entries_max, _DEPTH_MAX, kept)
    return kept


def _measure(fd: int, entries_max: int, depth: int, kept: Kept) -> None:
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                kept.entries += 1
                if kept.entries > entries_max:
                    return
                facts = os.lstat(entry.name, dir_fd=fd)
                kept.bytes_ += facts.st_blocks * _BLOCK_BYTES
                if stat.S_ISDIR(facts.st_mode):
                    if depth == 0:
                        kept.entries = entries_max + 1  # deeper than any honest job; it counts as too many
                        return
                    _measure(os.open(entry.name, _FLAGS, dir_fd=fd), entries_max, depth - 1, kept)
    except OSError:
        pass
    finally:
        os.close(fd)

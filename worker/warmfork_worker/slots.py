"""Slots: the private directories of workers. Made before the fork, wiped after the reply."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from warmfork.trees import wipe_tree

WORK_NAME: Final = "work"
TEMP_NAME: Final = "tmp"


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker's directories.

    Attributes:
        path: of the slot, mode 0700.
        work_dir: the job's working directory and HOME.
        temp_dir: its TMPDIR.
        work_fd: a descriptor of ``work_dir``, for the daemon to collect files through.
    """

    path: str
    work_dir: str
    temp_dir: str
    work_fd: int


def make_slot(slots_dir: str, name: str) -> Slot:
    """Make the slot ``name`` anew. Raises OSError, leaving nothing behind."""
    path = os.path.join(slots_dir, name)
    work_dir, temp_dir = os.path.join(path, WORK_NAME), os.path.join(path, TEMP_NAME)
    os.mkdir(path, 0o700)
    try:
        os.mkdir(work_dir, 0o700)
        os.mkdir(temp_dir, 0o700)
        work_fd = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        wipe_tree(path)
        raise
    return Slot(path, work_dir, temp_dir, work_fd)

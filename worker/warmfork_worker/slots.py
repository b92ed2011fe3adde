"""Slots: the private directories of workers. Made before the fork; nothing is left of them after the reply.

Two kinds. ``MountedSlots``, in the template's own mount namespace: a tmpfs of its own for each worker, bounded in bytes
and inodes, that is mounted nowhere but in that worker's private mount namespace; it ends with the worker and the last
descriptor. ``DirectorySlots``, where there are no namespaces: directories on disk, to be wiped.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Final, Protocol

from warmfork.trees import wipe_tree
from warmfork_worker.kernel import calls
from warmfork_worker.kernel.namespaces import Places

WORK_NAME: Final = "work"
TEMP_NAME: Final = "tmp"
_ATTRIBUTES: Final = calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV | calls.MOUNT_ATTR_NOEXEC
_OWN_INODES: Final = 3  # the tmpfs's root and the two directories


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker's directories.

    Attributes:
        work_dir: the job's working directory and HOME, as the worker sees it.
        temp_dir: its TMPDIR, likewise.
        work_fd: a descriptor of ``work_dir``, for the daemon to collect files through.
        path: on disk, mode 0700; empty for a mounted one.
        mount_fd: of the tmpfs; -1 for one on disk.
    """

    work_dir: str
    temp_dir: str
    work_fd: int
    path: str = ""
    mount_fd: int = -1

    def close(self) -> None:
        """Close the descriptors."""
        for fd in (self.work_fd, self.mount_fd):
            if fd >= 0:
                os.close(fd)


class Slots(Protocol):
    """Makes slots in the template."""

    def make(self, name: str) -> Slot:
        """Make the slot ``name`` anew. Raises OSError, leaving nothing behind."""
        ...

    def enter(self, slot: Slot) -> None:
        """In the worker: put the directories where they belong. Raises OSError."""

    def wipe(self, slot: Slot) -> None:
        """In the template: take away what is left once the worker is dead."""


class DirectorySlots:
    """Slots as directories below ``slots_dir``."""

    def __init__(self, slots_dir: str) -> None:
        self._slots_dir = slots_dir

    def make(self, name: str) -> Slot:
        """As ``Slots.make``."""
        path = os.path.join(self._slots_dir, name)
        work_dir, temp_dir = os.path.join(path, WORK_NAME), os.path.join(path, TEMP_NAME)
        os.mkdir(path, 0o700)
        try:
            os.mkdir(work_dir, 0o700)
            os.mkdir(temp_dir, 0o700)
            work_fd = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            for directory in (work_dir, temp_dir, path):  # one by one: to look what is there takes a descriptor
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
            raise
        return Slot(work_dir, temp_dir, work_fd, path)

    def enter(self, slot: Slot) -> None:
        """Nothing to do: the directories stand where every process sees them."""

    def wipe(self, slot: Slot) -> None:
        """Remove the tree."""
        wipe_tree(slot.path)


class MountedSlots:
    """Slots as tmpfs mounts that only their worker has.

    Args:
        places: where the worker sees the two directories.
        bytes_max: size of each tmpfs.
        files_max: inodes that a job may use.
    """

    def __init__(self, places: Places, bytes_max: int, files_max: int) -> None:
        self._places = places
        self._bytes = str(bytes_max)
        self._inodes = str(files_max + _OWN_INODES)

    def make(self, name: str) -> Slot:
        """As ``Slots.make``; the name is not used, for nobody can look one up."""
        mount_fd = calls.make_tmpfs(_ATTRIBUTES, size=self._bytes, nr_inodes=self._inodes, mode="0700")
        try:
            os.mkdir(WORK_NAME, 0o700, dir_fd=mount_fd)
            os.mkdir(TEMP_NAME, 0o700, dir_fd=mount_fd)
            work_fd = os.open(WORK_NAME, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)
        except OSError:
            os.close(mount_fd)
            raise
        return Slot(self._places.work_dir, self._places.temp_dir, work_fd, "", mount_fd)

    def enter(self, slot: Slot) -> None:
        """Mount the slot in a mount namespace of this worker's own."""
        calls.call("unshare", calls.CLONE_NEWNS)
        calls.attach(slot.mount_fd, slot.temp_dir)
        calls.bind(os.path.join(slot.temp_dir, WORK_NAME), slot.work_dir)
        calls.bind(os.path.join(slot.temp_dir, TEMP_NAME), slot.temp_dir)

    def wipe(self, slot: Slot) -> None:
        """Nothing to do: the kernel frees it with its last user."""

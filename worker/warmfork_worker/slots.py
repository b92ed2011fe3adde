"""Slots: the private directories of workers. Made before the fork; nothing is left of them after the reply.

Two kinds. ``MountedSlots``, in the template's own mount namespace: a tmpfs of its own for each worker, bounded in bytes
and inodes, that is mounted nowhere but in that worker's private mount namespace; it ends with the worker and the last
descriptor. ``DirectorySlots``, where there are no namespaces: directories on disk, to be wiped.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from dataclasses import dataclass
from typing import Final, Protocol

from warmfork.trees import wipe_tree
from warmfork_worker.kernel import calls
from warmfork_worker.kernel.namespaces import Places
from warmfork_worker.kernel.steps import Place, Steps

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
        _close(self.work_fd)
        _close(self.mount_fd)


class Slots(Protocol):
    """Makes slots in the template."""

    @property
    def places(self) -> Places | None:
        """Where every worker sees its directories; None where each has its own."""
        ...

    def make(self, name: str) -> Slot:
        """Make the slot ``name`` anew. Raises OSError, leaving nothing behind."""
        ...

    def add_enter(self, steps: Steps, mount_fd: Place) -> None:
        """In the worker: put the directories where they belong. ``mount_fd`` is the slot's."""

    def wipe(self, slot: Slot) -> None:
        """In the template: take away what is left once the worker is dead."""


class DirectorySlots:
    """Slots as directories below ``slots_dir``."""

    places = None

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

    def add_enter(self, steps: Steps, mount_fd: Place) -> None:
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
        self.places = places
        self._make = Steps()
        options = {"size": str(bytes_max), "nr_inodes": str(files_max + _OWN_INODES), "mode": "0700"}
        self._context, self._mount = calls.add_tmpfs(self._make, _ATTRIBUTES, **options)
        for name in (WORK_NAME, TEMP_NAME):
            self._make.add("mkdirat", self._mount, name.encode(), 0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._work = self._make.add_into_place("openat", self._mount, WORK_NAME.encode(), flags, 0)

    def make(self, name: str) -> Slot:
        """As ``Slots.make``; the name is not used, for nobody can look one up."""
        make = self._make
        make.forget()
        try:
            make.run()
        except OSError:
            _close(make.value(self._mount))
            raise
        finally:
            _close(make.value(self._context))
        return self.slot(make.value(self._work), make.value(self._mount))

    def slot(self, work_fd: int, mount_fd: int) -> Slot:
        """The slot that has these descriptors."""
        return Slot(self.places.work_dir, self.places.temp_dir, work_fd, "", mount_fd)

    def recipe(self) -> tuple[array[int], tuple[int, int, int, int]]:
        """For ``NativeLoop``: the steps that make one, how many places they have, and the places of its descriptors."""
        places = (self._make.place_count, self._context.index, self._mount.index, self._work.index)
        return self._make.words, places

    def add_enter(self, steps: Steps, mount_fd: Place) -> None:
        """Mount the slot in a mount namespace of this worker's own."""
        work_dir, temp_dir = self.places.work_dir, self.places.temp_dir
        steps.add("unshare", calls.CLONE_NEWNS)
        calls.add_attach(steps, mount_fd, temp_dir)
        calls.add_bind(steps, os.path.join(temp_dir, WORK_NAME), work_dir)
        calls.add_bind(steps, os.path.join(temp_dir, TEMP_NAME), temp_dir)

    def wipe(self, slot: Slot) -> None:
        """Nothing to do: the kernel frees it with its last user."""


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)

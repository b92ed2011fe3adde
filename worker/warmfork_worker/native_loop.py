"""The template's loop in native code, see ``kernel/_serve.c``: fork, reap, tell the daemon, and write to no page it shares."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from warmfork_worker.children import Child
from warmfork_worker.slots import MountedSlots, Slot


@dataclass(frozen=True, slots=True)
class Born:
    """This process is a new worker.

    Attributes:
        slot: its directories.
        fds: its channel, stdout and stderr.
    """

    slot: Slot
    fds: list[int]


@dataclass(frozen=True, slots=True)
class Unusual:
    """Something came that the native loop does not do.

    Attributes:
        packet: as it came; empty at the end of the control socket.
        fds: that came with it.
        children: all that there are.
    """

    packet: bytes
    fds: list[int]
    children: list[Child]


class NativeLoop:
    """Args:
    link_fd: the control socket.
    slots: makes the workers' directories.
    heap_bytes: for ``control.Forked``.
    """

    def __init__(self, link_fd: int, slots: MountedSlots, heap_bytes: int) -> None:
        self._link_fd = link_fd
        self._slots = slots
        self._heap_bytes = heap_bytes
        self._run: Callable[..., Any] | None = _native()
        self._words, self._places = slots.recipe()

    @property
    def available(self) -> bool:
        """Whether the native part was built when warmfork was installed."""
        return self._run is not None

    def run(self, children: list[tuple[int, int, int]]) -> Born | Unusual:
        """Serve until something unusual comes; returns in every worker too. Raises OSError when it cannot begin.

        Args:
            children: worker id, pid and pidfd of each that lives.
        """
        assert self._run is not None
        told = self._run(self._link_fd, self._words, self._places, self._heap_bytes, children)
        if told[0] is None:
            _, packet, fds, living = told
            slot = self._slots.slot(-1, -1)  # nothing of it is here
            return Unusual(packet, fds, [Child(worker_id, pid, slot, pidfd) for worker_id, pid, pidfd in living])
        fds, mount_fd, work_fd = told
        return Born(self._slots.slot(work_fd, mount_fd), fds)


def _native() -> Callable[[int, array[int], tuple[int, int, int, int], int, list[tuple[int, int, int]]], Any] | None:
    try:
        from warmfork_worker.kernel._serve import run
    except ImportError:
        return None
    return run

"""The workers that a template has forked: reaped when they end, forgotten when the daemon needs their slots no more."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass

from warmfork.wire import control
from warmfork_worker.slots import Slot


@dataclass(slots=True)
class Child:
    """One of them.

    Attributes:
        worker_id: the daemon's name for it.
        pid: as the template sees it.
        slot: its directories.
        pidfd: None once it is reaped.
    """

    worker_id: int
    pid: int
    slot: Slot
    pidfd: int | None


class Children:
    """Args:
    poll: told of each pidfd.
    """

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._by_id: dict[int, Child] = {}
        self._by_pidfd: dict[int, Child] = {}

    def add(self, child: Child) -> None:
        """One that was forked."""
        assert child.pidfd is not None
        self._by_id[child.worker_id] = child
        self._by_pidfd[child.pidfd] = child
        self._poll.register(child.pidfd, select.POLLIN)

    def of_pidfd(self, fd: int) -> Child | None:
        """Whose pidfd this is."""
        return self._by_pidfd.get(fd)

    @property
    def living(self) -> list[Child]:
        """All that have not been reaped."""
        return list(self._by_pidfd.values())

    @property
    def ids(self) -> list[int]:
        """Of all that have not been forgotten."""
        return list(self._by_id)

    def reap(self, child: Child) -> control.Exited:
        """Wait for one that has ended, or was killed, and end what is left of its process group."""
        assert child.pidfd is not None
        try:  # and not contextlib.suppress, which is three functions: see ``forking`` for what those cost  # noqa: SIM105
            # While the leader is a zombie nobody else can have its process group's number.
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        _, status, usage = os.wait4(child.pid, 0)
        os.close(self._lose_sight_of(child))
        return control.Exited(child.worker_id, status, usage.ru_utime + usage.ru_stime)

    def kill(self, child: Child) -> None:
        """SIGKILL through the pidfd."""
        if child.pidfd is not None:
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def forget(self, worker_id: int) -> Child | None:
        """Take one out that was reaped, or is to be by the caller."""
        return self._by_id.pop(worker_id, None)

    def hand_over(self) -> list[tuple[int, int, int]]:
        """Leave those that live to somebody else: worker id, pid and pidfd of each."""
        handed = []
        for child in self.living:
            pidfd = self._lose_sight_of(child)
            del self._by_id[child.worker_id]
            handed.append((child.worker_id, child.pid, pidfd))
        return handed

    def _lose_sight_of(self, child: Child) -> int:
        pidfd, child.pidfd = child.pidfd, None
        assert pidfd is not None
        self._poll.unregister(pidfd)
        del self._by_pidfd[pidfd]
        return pidfd

"""Noticing that a client process is gone: a ROUTER reports no disconnect, the kernel reports a death.

On ipc the kernel names the peer's pid; a pidfd of it becomes readable when the process ends, however it ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from warmfork_daemon.reactor import Reactor

_WATCHED_MAX: Final = 1_024


class ClientWatch:
    """Watches the processes that wait for jobs.

    Args:
        reactor: the event loop.
        on_gone: called with the pid of each that has ended.
    """

    def __init__(self, reactor: Reactor, on_gone: Callable[[int], None]) -> None:
        self._reactor = reactor
        self._on_gone = on_gone
        self._pidfds: dict[int, int] = {}

    def watch(self, pid: int) -> None:
        """Watch a process until it ends; nothing happens when it cannot be seen from here or too many are watched."""
        if pid <= 0 or pid in self._pidfds or len(self._pidfds) >= _WATCHED_MAX:
            return
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return
        self._pidfds[pid] = fd
        self._reactor.watch(fd, lambda: self._gone(pid))

    def _gone(self, pid: int) -> None:
        fd = self._pidfds.pop(pid)
        self._reactor.unwatch(fd)
        os.close(fd)
        self._on_gone(pid)

    def close(self) -> None:
        """Watch nobody any more."""
        for fd in self._pidfds.values():
            self._reactor.unwatch(fd)
            os.close(fd)
        self._pidfds.clear()

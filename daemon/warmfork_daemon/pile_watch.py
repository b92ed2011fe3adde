"""A bound on the memory that unfinished messages take.

ZeroMQ reads all frames of a message before it hands any over, and has a bound for each frame and none for their number: one
peer can pile up a gigabyte in a second. What it holds cannot be asked. So the size of the whole process is looked at, less what
the daemon knows that it holds; where that is too much, whoever has not finished a message for a while is cut off.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Container
from typing import Final

import psutil

from warmfork_daemon.config import Config
from warmfork_daemon.connections import Connections, PeerName
from warmfork_daemon.frontend import Frontend
from warmfork_daemon.intake import Intake
from warmfork_daemon.reactor import Reactor
from warmfork_daemon.runner import JobRunner

PILE_BYTES_MAX: Final = 512 << 20
"""Of messages that are not whole yet; what the running jobs may report comes on top."""

_LOOKS_A_RELEASE: Final = 40
_RELEASE_S: Final = 1.0


def watch_piles(
    reactor: Reactor, frontend: Frontend, intake: Intake, runner: JobRunner, config: Callable[[], Config]
) -> None:
    """Watch this daemon from now on, by the configuration of the moment; its size now is what it needs for itself."""

    def accounted() -> int:
        running = sum(job.input_bytes for job, _ in runner.running_jobs)
        return intake.queue.bytes + running + frontend.outbox.bytes + intake.recent_bytes

    def excess_max() -> int:
        return PILE_BYTES_MAX + config().pool.running_max * config().limits.reply_bytes_max

    PileWatch(reactor, frontend.connections, accounted, intake.waiting, excess_max)


class PileWatch:
    """Keeps unfinished messages from filling the memory: the process's own size, less what is accounted for, is bounded.

    Beyond the bound first those are cut that are sending; where nobody is seen to, those that wait for no job, who lose
    nothing by it but the unfinished message; beyond twice the bound, everybody who is silent.

    Args:
        reactor: the event loop.
        connections: to be cut.
        accounted: bytes that the daemon holds and knows of.
        waiting: the peers that wait for a job.
        excess_max: gives the bytes beyond those, and beyond what the process had at the start, that are let be.
    """

    INTERVAL_S: Final = 0.25

    def __init__(
        self,
        reactor: Reactor,
        connections: Connections,
        accounted: Callable[[], int],
        waiting: Callable[[], Container[PeerName | None]],
        excess_max: Callable[[], int],
    ) -> None:
        self._reactor = reactor
        self._connections = connections
        self._accounted = accounted
        self._waiting = waiting
        self._excess_max = excess_max
        self._floor = resident_bytes()
        self._looks_in_vain = 0
        reactor.call_every(self.INTERVAL_S, self._look)

    def _look(self) -> None:
        excess = resident_bytes() - self._floor - self._accounted()
        if excess <= self._excess_max():
            self._looks_in_vain = 0
        elif self._cut(excess):
            self._reactor.call_later(_RELEASE_S, release_memory)  # once ZeroMQ has let go of it
        else:
            # Nobody piles up any more, and what is left is the allocator's.
            if self._looks_in_vain % _LOOKS_A_RELEASE == 1:
                release_memory()
            self._looks_in_vain += 1

    def _cut(self, excess: int) -> int:
        if excess > 2 * self._excess_max():
            return self._connections.cut_silent()
        return self._connections.cut_silent(sending=True) or self._connections.cut_silent(self._waiting())


def resident_bytes() -> int:
    """Resident memory of this process; 0 where it cannot be asked."""
    try:
        return int(_this_process().memory_info().rss)
    except (OSError, psutil.Error):
        return 0


@functools.cache
def _this_process() -> psutil.Process:
    return psutil.Process()


def release_memory() -> None:
    """Let the allocator give back what is free."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

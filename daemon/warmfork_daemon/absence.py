"""Jobs that nobody waits for any more: ended once everybody who waited has been gone for the grace period.

Two things tell that a client is gone, and neither alone tells all. On ipc the death of its process, whoever else may
hold its connection open. And a connection that has ended, which a ROUTER never reports by itself: only a send to it fails,
so every second each connection that waits is sent a message that clients drop. Over TCP ZeroMQ's heartbeats end the
connection of a machine that is silent.

A client that comes back within the grace period, and sends its job again, waits for it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.reactor import Reactor, monotonic_s

LOOK_S: Final = 1.0


def leave(job: Job, is_gone: Callable[[Peer], bool], now_s: float) -> None:
    """Note which of those who wait for a job are gone."""
    job.waiting[:] = [peer for peer in job.waiting if not is_gone(peer)]
    if not job.waiting and job.alone_since_s is None:
        job.alone_since_s = now_s


def past_grace(job: Job, grace_s: float, now_s: float) -> bool:
    """True when nobody has waited for it for so long."""
    return job.alone_since_s is not None and now_s >= job.alone_since_s + grace_s


class AbsenceWatch:
    """Looks, while there are jobs, for those that nobody waits for.

    Args:
        reactor: the event loop.
        jobs: every job of a client that waits or runs.
        reaches: False for a peer whose connection has ended.
        end: drops or cancels a job.

    Attributes:
        gone: processes and connections that ended while they waited for a job, since the start; where jobs go on without
            their clients (``clients.gone = "finish"``), processes alone: nobody looks at connections then.
    """

    def __init__(
        self,
        reactor: Reactor,
        jobs: Callable[[], Iterable[Job]],
        reaches: Callable[[Peer], bool],
        end: Callable[[Job], None],
    ) -> None:
        self._reactor = reactor
        self._jobs = jobs
        self._reaches = reaches
        self._end = end
        self._planned = False
        self.gone = 0
        self.configure(cancels=True, grace_s=0.0)

    def configure(self, *, cancels: bool, grace_s: float) -> None:
        """Whether jobs of clients that are gone end at all, and how long after."""
        self._cancels = cancels
        self._grace_s = grace_s

    def expect(self) -> None:
        """There is a job: look again and again until there is none."""
        if self._cancels and not self._planned:
            self._planned = True
            self._reactor.call_later(LOOK_S, self._look)

    def process_ended(self, pid: int) -> None:
        """A client's process is dead."""
        now_s = monotonic_s()
        waited = [job for job in self._jobs() if any(peer.pid == pid for peer in job.waiting)]
        for job in waited:
            leave(job, lambda peer: peer.pid == pid, now_s)
        self.gone += bool(waited)
        if self._cancels:
            self._reactor.call_later(self._grace_s, self._end_abandoned)

    def _look(self) -> None:
        self._planned = False
        now_s = monotonic_s()
        jobs = list(self._jobs())
        # Short jobs never cost a look; but whose connection has ended has ended for its youngest job too.
        asked = {_name_of(peer): peer for job in jobs if now_s - job.submitted_s >= LOOK_S for peer in job.waiting}
        ended = {name for name, peer in asked.items() if not self._reaches(peer)}
        self.gone += len(ended)
        for job in jobs:
            leave(job, lambda peer: _name_of(peer) in ended, now_s)
        self._end_abandoned()
        if jobs:
            self.expect()

    def _end_abandoned(self) -> None:
        now_s = monotonic_s()
        for job in list(self._jobs()):
            if self._cancels and past_grace(job, self._grace_s, now_s):
                self._end(job)


def _name_of(peer: Peer) -> tuple[int, bytes]:
    return (peer.socket, peer.routing_id)

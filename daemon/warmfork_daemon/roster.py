"""The workers of one pool, by what they are doing: who waits, who runs a job, who is still to come."""

from __future__ import annotations

from collections import deque
from typing import Final

from warmfork_daemon.lifecycle import WorkerEvent
from warmfork_daemon.lifecycle import WorkerState as State
from warmfork_daemon.reactor import monotonic_s
from warmfork_daemon.worker import Worker

_WAITING: Final = (State.FORKING, State.ENTERING, State.IDLE)


class Roster:
    """Workers that are not gone. Nothing is killed, closed or forked here."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._idle: deque[Worker] = deque()

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def every(self) -> list[Worker]:
        """All of them."""
        return list(self._workers.values())

    @property
    def idle_count(self) -> int:
        """How many wait for a job."""
        return len(self._idle)

    @property
    def busy_count(self) -> int:
        """How many run one."""
        return sum(worker.state is State.BUSY for worker in self._workers.values())

    @property
    def coming_count(self) -> int:
        """How many wait or are on their way; without those that are to give way to warm ones."""
        return sum(worker.state in _WAITING and not worker.cold for worker in self._workers.values())

    def get(self, worker_id: int) -> Worker | None:
        """The worker of this id."""
        return self._workers.get(worker_id)

    def holds(self, worker: Worker) -> bool:
        """Whether this worker is one of them."""
        return self._workers.get(worker.worker_id) is worker

    def add(self, worker: Worker) -> None:
        """One that was asked for."""
        self._workers[worker.worker_id] = worker

    def remove(self, worker: Worker) -> None:
        """One that is gone."""
        del self._workers[worker.worker_id]
        self.stands_by_no_more(worker)

    def clear(self) -> None:
        """All are gone."""
        self._workers.clear()
        self._idle.clear()

    def stands_by(self, worker: Worker) -> None:
        """It waits for a job."""
        self._idle.append(worker)

    def stands_by_no_more(self, worker: Worker) -> None:
        """It waits for none any more, if it did."""
        if worker in self._idle:
            self._idle.remove(worker)

    def take_idle(self) -> Worker | None:
        """The one that has waited longest, busy from now on; None when nobody waits."""
        if not self._idle:
            return None
        worker = self._idle.popleft()
        worker.advance(WorkerEvent.TAKEN)
        return worker

    def find_cold(self) -> Worker | None:
        """One that waits and was forked before its template had rehearsed."""
        return next((worker for worker in self._idle if worker.cold), None)

    def mark_cold(self) -> None:
        """The template has settled: those that live now are to give way to warm ones."""
        for worker in self._workers.values():
            # One that is still FORKING is forked after this, or its Forked had come first: the socket keeps the order.
            worker.cold = worker.state in (State.ENTERING, State.IDLE)

    def owing_s(self) -> float:
        """For how long the template has owed the oldest fork that it was asked for; 0 where it owes none."""
        asked = [worker.asked_s for worker in self._workers.values() if worker.state is State.FORKING]
        return monotonic_s() - min(asked) if asked else 0.0

    def late_to_enter(self, late_s: float) -> list[Worker]:
        """Those that have been entering for longer than this."""
        since_s = monotonic_s() - late_s
        return [
            worker for worker in self._workers.values() if worker.state is State.ENTERING and worker.stepped_s < since_s
        ]

    def forgive(self, seconds: float) -> None:
        """Take so much off what each has been waited for: the daemon, or the machine, stood still."""
        now_s = monotonic_s()
        for worker in self._workers.values():
            worker.asked_s = min(now_s, worker.asked_s + seconds)
            worker.stepped_s = min(now_s, worker.stepped_s + seconds)

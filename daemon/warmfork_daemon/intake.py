"""Jobs from their coming until they are dispatched, and what is known of them afterwards.

What one request can meet, in this order: the same job waits or runs (it joins it), has ended (it gets that answer), may have
ended and be forgotten (``lost``); it is new, and there is no room, or no time for it (``rejected``), or it waits its turn.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from warmfork.errors import RequestRefused
from warmfork.wire.replies import ResultReply
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon import estimate
from warmfork_daemon.absence import AbsenceWatch
from warmfork_daemon.clients import ClientWatch
from warmfork_daemon.config import Config
from warmfork_daemon.frontend import Frames, Frontend, Peer
from warmfork_daemon.job import Job, JobKey
from warmfork_daemon.logs import told
from warmfork_daemon.machine_memory import MachineMemory
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.recent import RecentResults, digest_of
from warmfork_daemon.runner import JobRunner
from warmfork_daemon.tenants import Weights, owner_share_of

log = logging.getLogger("warmfork.intake")

_WAITING_MAX: Final = 8
_TRANSIT_S: Final = 1.0
"""The client's clock stops when it sends; the daemon's reads later. A job counts as sent by so much earlier."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job is not run: a word for ``error.type``, a sentence, and whether it certainly has not run."""

    kind: str
    message: str


class Intake:
    """The queue with everything that decides what comes into it.

    Args:
        config: the daemon's.
        reactor: the event loop.
        frontend: answers those who come again.
        runner: of the jobs that run.
        weights: of owners and tenants.
        cancel: ends a job wherever it is; says where it was.

    Attributes:
        instance: names this daemon until it ends.
        queue: of jobs that wait.
        rejoined, repeated: requests that joined a job, or got its kept answer.
        abandoned: jobs that ended because nobody waited for them any more, by where they were (``queued``, ``running``).
    """

    def __init__(
        self,
        config: Config,
        reactor: Reactor,
        frontend: Frontend,
        runner: JobRunner,
        weights: Weights,
        cancel: Callable[[JobKey, str], str],
    ) -> None:
        self._frontend = frontend
        self._runner = runner
        self._weights = weights
        self._cancel = cancel
        self._config = config
        self.instance = secrets.token_hex(8)
        self.rejoined = self.repeated = 0
        self.abandoned = {"queued": 0, "running": 0}
        self.queue = JobQueue(
            config.queue.jobs_max,
            config.queue.bytes_max,
            weight_of=lambda owner: self._weights.of_owner(owner),
            tenant_weight_of=lambda tenant: self._weights.of_tenant(tenant),
        )
        self._run_times = estimate.RunTimes()
        self._machine = MachineMemory()
        results = config.results
        self._recent = RecentResults(results.recent_jobs, results.recent_bytes, results.recent_s, monotonic_s())
        self._absence = AbsenceWatch(reactor, self._jobs, frontend.reaches, self._end_abandoned)
        self._clients = ClientWatch(reactor, self._absence.process_ended)
        self.reconfigure(config, weights)

    def reconfigure(self, config: Config, weights: Weights) -> None:
        """Take later jobs by this configuration, and give turns by these weights. What waits goes on waiting."""
        self._config = config
        self._weights = weights
        self.queue.reweigh()
        self.queue.configure(config.queue.jobs_max, config.queue.bytes_max, owner_share_of(config))
        self._recent.configure(config.results.recent_jobs, config.results.recent_bytes, config.results.recent_s)
        self._absence.configure(cancels=config.clients.gone == "cancel", grace_s=config.clients.grace_s)
        self._absence.expect()

    def close(self) -> None:
        """Watch nobody any more."""
        self._clients.close()
        self._machine.close()

    def _jobs(self) -> Iterable[Job]:
        running = (job for job, _ in self._runner.running_jobs)
        return (job for job in (*self.queue.jobs, *running) if job.peer.routing_id)  # probes have no client

    def meets(self, request: ExecuteRequest, peer: Peer) -> bool | Refusal:
        """What the job of this request is here.

        Returns:
            True for one that waits, runs or has ended: this peer gets its reply, now or when there is one. A refusal for
            one that is not known and may have run all the same. False for a new one, which certainly has not.

        Raises:
            RequestRefused: its id names a job with another content.
        """
        key = (peer.owner, request.id)
        job = self.queue.get(key) or self._runner.job_of(key)
        if job is not None:
            _check_same(digest_of(job.request), request)
            self._join(job, peer)
            return True
        now_s = monotonic_s()
        recent = self._recent.find(key, now_s)
        if recent is None:
            return self._forgot(request, peer, now_s) if request.resend else False
        _check_same(recent.digest, request)
        if recent.frames is None:
            return Refusal(
                "Forgotten", "The job has ended, and its result is not kept any more. It ran: it is not run again."
            )
        self.repeated += 1
        self._frontend.send(peer, recent.frames)
        return True

    def _join(self, job: Job, peer: Peer) -> None:
        self.rejoined += 1
        # The same connection twice gets one reply: it is one call.
        others = [other for other in job.waiting if other.routing_id != peer.routing_id or other.socket != peer.socket]
        job.waiting[:] = [*others[-(_WAITING_MAX - 1) :], peer]
        job.peer = peer
        job.alone_since_s = None
        self._clients.watch(peer.pid)
        log.info("job joined", extra=told(job=job.request.id.hex()))

    def _forgot(self, request: ExecuteRequest, peer: Peer, now_s: float) -> bool | Refusal:
        """Why a job that is sent again and not known may have run all the same; False for one that certainly has not."""
        if request.resend != self.instance:
            return Refusal(
                "DaemonRestarted",
                "The daemon that the job was sent to has ended. The job may have run, in whole or in part: a retry is "
                "not safe if it has effects outside.",
            )
        if not self._recent.knows_since(peer.owner, now_s - request.sent_s_ago - _TRANSIT_S, now_s):
            return Refusal(
                "Forgotten",
                "The job was first sent so long ago that it may have ended and been forgotten. It may have run: a retry "
                "is not safe if it has effects outside.",
            )
        return False

    def refuses(self, job: Job) -> Refusal | None:
        """Why a new job may not wait; None when it may."""
        if short := self._short_of_memory():
            return Refusal("MachineMemory", short)
        full = self.queue.full_for(job)
        if full:
            return Refusal("QueueFull", f"{full}. The job did not run; try again later.")
        deadline_s = job.request.deadline_s
        if deadline_s is not None and self._run_times.known:
            wait_s = estimate.wait_s(
                self.queue.ahead_of(job), self._runner.running, self._config.pool.running_max, self._run_times.mean_s
            )
            if wait_s > deadline_s:
                message = (
                    f"About {wait_s:.1f} s would pass before its turn, and its deadline_s is {deadline_s:g} s. "
                    "The job did not run; try again later, or give it more time."
                )
                return Refusal("DeadlineHopeless", message)
        return None

    def _short_of_memory(self) -> str:
        """Why the machine has no memory for one more job; empty where it has."""
        least = self._config.queue.memory_available_bytes
        available = self._machine.available_bytes() if least else None
        if available is None or available >= least:
            return ""
        return (
            f"The machine has {available >> 20} MiB of memory available, and jobs are taken from {least >> 20} MiB on "
            "(queue.memory_available_bytes). The job did not run; try again later."
        )

    def take(self, job: Job) -> None:
        """Let a job wait."""
        self.queue.put(job)
        self.expect_client(job)

    def expect_client(self, job: Job) -> None:
        """From now on take notice when nobody waits for this job any more."""
        self._clients.watch(job.peer.pid)
        self._absence.expect()

    def retry_after_s(self, job: Job) -> float:
        """When a rejected job should come again."""
        ahead = self.queue.ahead_of(job)
        return estimate.retry_after_s(ahead, self._config.pool.running_max, self._run_times.mean_s)

    def ended(self, job: Job, reply: ResultReply, frames: Frames) -> None:
        """A job was answered. What did not run may be sent again, and is not remembered."""
        if job.dispatched_s and reply.verdict not in ("rejected", "cancelled"):
            self._run_times.add(reply.usage.wall_s)
        if reply.verdict != "rejected" and not reply.retry_safe:
            self._recent.remember(job.key, digest_of(job.request), frames, monotonic_s())

    def _end_abandoned(self, job: Job) -> None:
        was = job.state.value
        if was not in self.abandoned:
            return  # its end is on the way
        self.abandoned[was] += 1
        log.info("job abandoned by its client", extra=told(job=job.request.id.hex(), was=was))
        if self._cancel(job.key, ", because its client is gone,") == "queued":
            self._recent.forget(job.key)  # it did not run: whoever comes too late for it can have it run

    def waiting(self) -> set[tuple[int, bytes] | None]:
        """Socket and routing id of each peer that waits for a job."""
        return {(peer.socket, peer.routing_id) for job in self._jobs() for peer in job.waiting}

    @property
    def recent_bytes(self) -> int:
        """What the kept results hold."""
        return self._recent.bytes

    def status(self) -> dict[str, int]:
        """Counts for ``status``."""
        return {
            "recent": len(self._recent),
            "recent_bytes": self._recent.bytes,
            "rejoined": self.rejoined,
            "repeated": self.repeated,
        }

    def absence(self) -> dict[str, Any]:
        """Counts for ``status`` of clients that went, and of jobs that ended with them."""
        return {"gone": self._absence.gone, "abandoned": dict(self.abandoned)}


def _check_same(digest: bytes, request: ExecuteRequest) -> None:
    if digest != digest_of(request):
        raise RequestRefused(
            "duplicate_job", f"the id {request.id.hex()} names another job, which is known already; choose a new id"
        )

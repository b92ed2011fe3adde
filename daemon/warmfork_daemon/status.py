"""What ``status`` and ``hello`` answer, as plain data."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from warmfork import __version__
from warmfork.wire.messages import encode_template
from warmfork.wire.records import HelloReply, TemplateInfo
from warmfork_daemon.config import Config
from warmfork_daemon.job import Job
from warmfork_daemon.pool import WorkerPool
from warmfork_daemon.pools import Pools
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.reactor import monotonic_s


@dataclass(slots=True)
class Counts:
    """What has happened since the start.

    Attributes:
        started_s: by the monotonic clock.
        by_verdict: answered jobs.
        refused: requests answered with a typed error, by code.
        undelivered: replies whose client was gone.
        wall_s: run time of all jobs that ran, for the mean.
        ran: their number.
    """

    started_s: float = field(default_factory=monotonic_s)
    by_verdict: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    undelivered: int = 0
    wall_s: float = 0.0
    ran: int = 0

    @property
    def mean_wall_s(self) -> float:
        """Mean run time of a job, 1 s while none has run."""
        return self.wall_s / self.ran if self.ran else 1.0


def hello_reply(request_id: bytes, config: Config, pools: Pools) -> HelloReply:
    """Who this daemon is."""
    allowed = config.policy.allowed
    policies = (config.policy.default, *(name for name in allowed if name != config.policy.default))
    limits = {**asdict(config.limits), "queue_wait_s_max": config.queue.wait_s_max}
    return HelloReply(
        id=request_id,
        version=__version__,
        pid=os.getpid(),
        templates=tuple(_info_of(pool) for pool in pools),
        policies=policies,
        limits=limits,
        features=("cancel", "files", "stdin", "rc", "redact"),
    )


def status_of(
    config: Config,
    addresses: list[str],
    pools: Pools,
    queue: JobQueue,
    running: list[tuple[Job, int]],
    counts: Counts,
    guard: dict[str, Any],
) -> dict[str, Any]:
    """How this daemon is; ``docs/protocol.md`` describes every field."""
    now_s = monotonic_s()
    states = Counter(worker.state.value for pool in pools for worker in pool.workers)
    default = pools.default.keeper
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": round(now_s - counts.started_s, 3),
        "addresses": addresses,
        "system": config.system,
        "policies": {"default": config.policy.default, "allowed": list(config.policy.allowed)},
        "results": {"redact": config.results.redact},
        "guard": guard,
        "template": {
            "state": default.state,
            "pid": default.pid,
            "starts": default.starts,
            "info": None if default.info is None else encode_template(default.info),
        },
        "templates": [_status_of(pool) for pool in pools],
        "workers": {
            "wanted_idle": sum(pool.spec.idle_workers for pool in pools),
            "running_max": config.pool.running_max,
            "by_state": dict(states),
            "forks": sum(pool.forks for pool in pools),
        },
        "queue": {"jobs": len(queue), "jobs_max": config.queue.jobs_max, "bytes": queue.bytes},
        "running": [
            {
                "job_id": job.request.id.hex(),
                "uid": job.peer.uid,
                "pid": job.peer.pid,
                "client": job.peer.name,
                "worker_pid": worker_pid,
                "policy": job.policy,
                "template": job.template,
                "running_s": round(now_s - job.dispatched_s, 3),
                "timeout_s": job.timeout_s,
            }
            for job, worker_pid in running[:1_000]
            if job.peer.routing_id  # the daemon's own probes have no client
        ],
        "jobs": {"by_verdict": dict(counts.by_verdict), "mean_wall_s": round(counts.mean_wall_s, 6)},
        "requests": {"refused": dict(counts.refused), "undelivered_replies": counts.undelivered},
    }


def _info_of(pool: WorkerPool) -> TemplateInfo:
    keeper = pool.keeper
    return keeper.info or TemplateInfo(pool.spec.name, "", state=keeper.state)


def _status_of(pool: WorkerPool) -> dict[str, Any]:
    keeper = pool.keeper
    return {
        "name": pool.spec.name,
        "state": keeper.state,
        "python": "" if keeper.info is None else keeper.info.python,
        "pid": keeper.pid,
        "starts": keeper.starts,
        "wanted_idle": pool.spec.idle_workers,
        "idle": pool.idle_count,
        "busy": pool.busy_count,
        "forks": pool.forks,
        "left_out": list(keeper.left_out),
        "problem": keeper.problem,
    }

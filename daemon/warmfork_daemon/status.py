"""What ``status`` and ``hello`` answer, as plain data."""

from __future__ import annotations

import os
import resource
from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from warmfork import __version__
from warmfork.wire.records import TemplateInfo
from warmfork.wire.replies import HelloReply
from warmfork.wire.templates import encode_template
from warmfork_daemon.config import Config
from warmfork_daemon.job import Job
from warmfork_daemon.lifecycle import WorkerState
from warmfork_daemon.pool import WorkerPool
from warmfork_daemon.pools import Pools
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.reactor import monotonic_s
from warmfork_daemon.tally import Tally
from warmfork_daemon.waiting import tenants_of
from warmfork_daemon.worker import Worker

_WORKERS_MAX: Final = 256
_PAGE_BYTES: Final = resource.getpagesize()


def hello_reply(request_id: bytes, config: Config, pools: Pools, instance: str = "") -> HelloReply:
    """Who this daemon is."""
    allowed = config.policy.allowed
    policies = (config.policy.default, *(name for name in allowed if name != config.policy.default))
    limits = {**asdict(config.limits), "queue_wait_s_max": config.queue.wait_s_max}
    return HelloReply(
        id=request_id,
        version=__version__,
        pid=os.getpid(),
        templates=tuple(_info_of(pool) for pool in pools if not pool.spec.is_light),
        policies=policies,
        limits=limits,
        features=("cancel", "files", "stdin", "rc", "redact", "stream", "tenants", "resend"),
        instance=instance,
    )


def status_of(
    config: Config,
    addresses: list[str],
    pools: Pools,
    queue: JobQueue,
    running: list[tuple[Job, int]],
    tally: Tally,
    guard: dict[str, Any],
    metrics: list[str],
) -> dict[str, Any]:
    """How this daemon is; ``docs/protocol.md`` describes every field."""
    now_s = monotonic_s()
    workers = [(pool, worker) for pool in pools.every for worker in pool.roster.every]
    states = Counter(worker.state.value for _, worker in workers)
    default = pools.default.keeper
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": round(now_s - tally.started_s, 3),
        "addresses": addresses,
        "system": config.system,
        "policies": {"default": config.policy.default, "allowed": list(config.policy.allowed)},
        "results": {"redact": config.results.redact},
        "guard": guard,
        "metrics": metrics,
        "process": _own_process(),
        "template": {
            "state": default.state,
            "pid": default.pid,
            "starts": default.starts,
            "info": None if default.info is None else encode_template(default.info),
        },
        "templates": [_status_of(pool, pools) for pool in pools],
        "workers": {
            "wanted_idle": sum(pool.demand.wanted for pool in pools),
            "running_max": config.pool.running_max,
            "by_state": dict(states),
            "busy": states[WorkerState.BUSY.value],
            "forks": sum(pools.forks(pool.spec.name) for pool in pools),
            "list": _worker_rows(workers, now_s),
        },
        "queue": {
            "jobs": len(queue),
            "jobs_max": config.queue.jobs_max,
            "bytes": queue.bytes,
            "bytes_max": config.queue.bytes_max,
            **tenants_of(queue),
        },
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
        "jobs": {
            "submitted": tally.submitted,
            "by_verdict": dict(tally.by_verdict),
            "kills": dict(tally.kills),
            "mean_wall_s": round(tally.mean_wall_s, 6),
        },
        "rates": tally.rates(now_s),
        "latency": tally.latency(now_s),
        "failures": tally.failures(now_s),
        "requests": {"refused": dict(tally.refused), "undelivered_replies": tally.undelivered},
    }


def _info_of(pool: WorkerPool) -> TemplateInfo:
    keeper = pool.keeper
    return keeper.info or TemplateInfo(pool.spec.name, "", state=keeper.state)


def _status_of(pool: WorkerPool, pools: Pools) -> dict[str, Any]:
    keeper = pool.keeper
    return {
        "name": pool.spec.name,
        "light": pool.spec.is_light,
        "state": keeper.state,
        "python": "" if keeper.info is None else keeper.info.python,
        "pid": keeper.pid,
        "generation": pool.generation,
        "settled": pool.settled,
        "heap": {"moved_bytes": (heap := pool.as_settled.measure("heap")).amount, "detail": heap.detail},
        "joined": {"fewer": (joined := pool.as_settled.measure("joined")).amount, "detail": joined.detail},
        "immortal": {"objects": (immortal := pool.as_settled.measure("immortal")).amount, "detail": immortal.detail},
        "pages": {"known_bytes": (pages := pool.as_settled.measure("pages")).amount, "detail": pages.detail},
        "fresh": {"taken_bytes": (fresh := pool.as_settled.measure("fresh")).amount, "detail": fresh.detail},
        "starts": pools.starts(pool.spec.name),
        "wanted_idle": pool.demand.wanted,
        "idle": pool.roster.idle_count,
        "busy": pool.roster.busy_count,
        "forks": pools.forks(pool.spec.name),
        "left_out": list(keeper.left_out),
        "problem": keeper.problem or pool.shortage or pools.problem_of(pool.spec.name),
    }


def _worker_rows(workers: list[tuple[WorkerPool, Worker]], now_s: float) -> list[dict[str, Any]]:
    """One row for each worker, busy ones first, as many as a reply should hold."""
    workers = sorted(workers, key=lambda pair: pair[1].state is not WorkerState.BUSY)
    return [
        {
            "pid": worker.pid,
            "template": pool.spec.name,
            "generation": pool.generation,
            "state": worker.state.value,
            "age_s": round(now_s - worker.made_s, 3),
            # The daemon's own probes have no client, and their jobs are nobody's to cancel.
            "job_id": worker.job.request.id.hex() if worker.job is not None and worker.job.peer.routing_id else "",
            "rss_bytes": _rss_bytes(worker.pid) if worker.pid else 0,
        }
        for pool, worker in workers[:_WORKERS_MAX]
    ]


def _own_process() -> dict[str, Any]:
    return {
        "rss_bytes": _rss_bytes(os.getpid()),
        "open_files": _open_files(),
        "open_files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # one is the listing's own
    except OSError:  # none is left for the listing
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _rss_bytes(pid: int) -> int:
    """Resident memory, pages shared with the template included; 0 for a process that is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0

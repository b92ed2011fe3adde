"""Who waits in the queue, for ``status``: how much of it each tenant holds, and how many of the turns it gets."""

from __future__ import annotations

import heapq
from typing import Any, Final

from warmfork_daemon.queue import JobQueue, Waiting

_ROWS_MAX: Final = 64


def tenants_of(queue: JobQueue) -> dict[str, Any]:
    """What ``status`` says of who waits; ``list`` has those with the most jobs, as many as a reply should hold."""
    waiting = queue.waiting()
    owners = {one.job.peer.owner: one.weight for one in waiting}
    jobs, weights = len(queue), sum(owners.values())
    return {
        "owners": len(owners),
        "tenants": len(waiting),
        "list": [
            _row(one, jobs, weights) for one in heapq.nlargest(_ROWS_MAX, waiting, key=lambda waiting: waiting.jobs)
        ],
    }


def _row(one: Waiting, jobs: int, weights: float) -> dict[str, Any]:
    return {
        "uid": one.job.peer.uid,
        "client": one.job.peer.name,
        "tenant": one.job.tenant,
        "jobs": one.jobs,
        "weight": one.weight,
        "queue_share": round(one.jobs / jobs, 4),
        "turn_share": round(one.weight / weights * one.share, 4),
    }

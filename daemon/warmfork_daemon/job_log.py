"""What the log says of jobs: one line for each that has ended, and its code only where the configuration asks for it."""

from __future__ import annotations

import logging

from warmfork.wire.replies import ResultReply
from warmfork_daemon.job import Job
from warmfork_daemon.logs import told

log = logging.getLogger("warmfork.job")


def log_finished(job: Job, reply: ResultReply, *, delivered: bool) -> None:
    """One line: who asked, what became of it, what it cost. Nothing that the job wrote itself but the kind of its error."""
    if not log.isEnabledFor(logging.INFO):
        return
    usage, dropped = reply.usage, reply.dropped
    log.info(
        "job finished",
        extra=told(
            job=job.request.id.hex(),
            verdict=reply.verdict,
            error=None if reply.error is None else reply.error.type[:100],
            template=job.template,
            policy=job.policy,
            uid=job.peer.uid if job.peer.uid >= 0 else None,
            pid=job.peer.pid if job.peer.pid > 0 else None,
            client=job.peer.name or None,
            queue_s=usage.queue_s,
            wall_s=usage.wall_s,
            cpu_s=usage.cpu_s,
            peak_memory_bytes=usage.peak_memory_bytes,
            charts=len(reply.charts),
            dropped_bytes=dropped.stdout_bytes + dropped.stderr_bytes or None,
            delivered=None if delivered else False,
        ),
    )


def log_code(job: Job) -> None:
    """The source of a job that was admitted; only for ``log.code``."""
    log.info("job code", extra=told(job=job.request.id.hex(), code=bytes(job.request.code).decode("utf-8", "replace")))

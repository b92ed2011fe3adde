"""Where a job's time went, put together from the daemon's clock and what its worker says. Pure: no clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from operator import le

from warmfork.results import Phases
from warmfork_daemon.job import Job


def phases_of(
    job: Job, told_s: Sequence[float], ended_s: float, looked_s: float, signing_s: float, composed_s: float
) -> Phases:
    """The phases of a job that was dispatched. All times are by the machine's monotonic clock, in seconds.

    Args:
        job: whose.
        told_s: when the worker says that it had read, compiled, executed and rendered; empty for nothing.
        ended_s: when the report had come, or the end of the worker was seen.
        looked_s: when every chart had been looked at and signed.
        signing_s: how much of the time before that signing took.
        composed_s: when the result was put together.
    """
    ended_s = max(ended_s, job.dispatched_s)
    looked_s = max(looked_s, ended_s)
    steps = (job.dispatched_s, *told_s, ended_s)
    # A worker that has run hostile code says what it likes: none of it moves anything outside dispatch to report.
    if not told_s or not all(map(le, steps, steps[1:])):
        steps = (job.dispatched_s, job.dispatched_s, job.dispatched_s, ended_s, ended_s, ended_s)
    dispatched_s, received_s, compiled_s, executed_s, rendered_s, reported_s = steps
    return Phases(
        job.queue_s,
        received_s - dispatched_s,
        compiled_s - received_s,
        executed_s - compiled_s,
        rendered_s - executed_s,
        reported_s - rendered_s,
        max(0.0, looked_s - ended_s - signing_s),
        signing_s,
        max(0.0, composed_s - looked_s),
    )

"""A job as the daemon holds it, from admission to the reply."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmfork.wire.records import PRIORITIES, TEMPLATE_DEFAULT
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.lifecycle import JOB, JobEvent, JobState, step

Owner = int | str
"""Whose a job is: a uid on ipc, a public key over TCP."""

JobKey = tuple[Owner, bytes]
"""Owner and job id."""


@dataclass(slots=True, eq=False)
class Job:
    """One admitted request with everything decided.

    Attributes:
        request: as it came.
        peer: who asked for it last.
        waiting: who waits for the reply, ``peer`` last; more than one when it was sent again, none once they are gone.
        alone_since_s: when the last of them went, by the monotonic clock; None while there is one.
        policy: the Python-level policy it runs under.
        timeout_s: from dispatch to the report.
        memory_bytes: headroom above the idle worker.
        input_bytes: size of all its parts.
        submitted_s, dispatched_s: by the monotonic clock.
        template: the name of the one it asks for.
        line: whose worker runs it: that one, or its companion; empty means the template.
        tenant, priority: as the request has them.
        expires_s: when waiting in the queue becomes hopeless, by the monotonic clock.
        state: where it is in its life.
        key: names the job: a client can only mean jobs of its own user or key.
    """

    request: ExecuteRequest
    peer: Peer
    policy: str
    timeout_s: float
    memory_bytes: int
    input_bytes: int
    submitted_s: float
    expires_s: float
    dispatched_s: float = field(default=0.0)
    template: str = TEMPLATE_DEFAULT
    line: str = ""
    tenant: str = ""
    priority: str = PRIORITIES[0]
    alone_since_s: float | None = None
    state: JobState = JobState.QUEUED
    waiting: list[Peer] = field(init=False)
    key: JobKey = field(init=False)

    def __post_init__(self) -> None:
        self.line = self.line or self.template
        self.waiting = [self.peer] if self.peer.routing_id else []
        self.key = (self.peer.owner, self.request.id)

    def advance(self, event: JobEvent) -> None:
        """Take the step that the table has for this event. Raises ImpossibleStep."""
        self.state = step(JOB, self.state, event)

    @property
    def queue_s(self) -> float:
        """Seconds it waited."""
        return max(0.0, self.dispatched_s - self.submitted_s)

    def deadline_left_s(self, now_s: float) -> float:
        """Seconds until the request's own deadline; infinite where it has none."""
        if self.request.deadline_s is None:
            return float("inf")
        return self.submitted_s + self.request.deadline_s - now_s

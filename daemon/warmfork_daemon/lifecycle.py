"""The lives of a worker, of a generation of a template and of a job, as tables. No I/O, no clock.

What is not in a table cannot happen; ``step`` says so with what it was asked. Workers, generations and jobs ask it for every
change of their state, so there is one place to read what may follow what. The names are strings because those are hashed by the
interpreter itself; an ``Enum`` brings a function of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar


class WorkerState(enum.StrEnum):
    """Where a worker is in its life.

    FORKING: asked for. ENTERING: forked, guarding itself. IDLE: waits for its job. BUSY: runs it.
    ENDING: its job is over or it was given up; only its exit is waited for. GONE: reaped, its descriptors closed.
    """

    FORKING = "forking"
    ENTERING = "entering"
    IDLE = "idle"
    BUSY = "busy"
    ENDING = "ending"
    GONE = "gone"


class WorkerEvent(enum.StrEnum):
    """What happens to a worker.

    FORKED: the template made the process. FORK_FAILED: it could not. ENTERED: the worker says that it is guarded.
    TAKEN: it gets a job. RETIRED: its job is answered. GIVEN_UP: it is not wanted any more. REAPED: the template waited
    for it. TEMPLATE_GONE: the template died, and every worker with it.
    """

    FORKED = "forked"
    FORK_FAILED = "fork failed"
    ENTERED = "entered"
    TAKEN = "taken"
    RETIRED = "retired"
    GIVEN_UP = "given up"
    REAPED = "reaped"
    TEMPLATE_GONE = "template gone"


class GenerationState(enum.StrEnum):
    """Where one process of a template, with its workers, is in its life.

    STARTING: imports. READY: forks, but nothing is proved. SERVING: its guard held, jobs are sent to it. DRAINING: a newer
    one serves; its last jobs finish. FAILED: it ended, or its guard did not hold; another start follows. CLOSED: gone.
    """

    STARTING = "starting"
    READY = "ready"
    SERVING = "serving"
    DRAINING = "draining"
    FAILED = "failed"
    CLOSED = "closed"


class GenerationEvent(enum.StrEnum):
    """What happens to a generation.

    CAME_UP: the template says that it is ready. PROVED: the probes were refused. REFUSED: one was not. ENDED: its process is
    gone. START: it is started again. REPLACED: a newer one serves. EMPTY: a draining one has no worker any more. STOP: the
    daemon stops.
    """

    CAME_UP = "came up"
    PROVED = "proved"
    REFUSED = "refused"
    ENDED = "ended"
    START = "start"
    REPLACED = "replaced"
    EMPTY = "empty"
    STOP = "stop"


class JobState(enum.StrEnum):
    """Where a job is in its life.

    QUEUED: admitted. RUNNING: sent to a worker. REPORTED: the worker's report is whole. KILLED: we sent the signal, with its
    reason. ANSWERED: its one reply is on its way.
    """

    QUEUED = "queued"
    RUNNING = "running"
    REPORTED = "reported"
    KILLED = "killed"
    ANSWERED = "answered"


class JobEvent(enum.StrEnum):
    """What happens to a job.

    DISPATCHED: sent to a worker. SENT_BACK: the worker was dead before it got it. REPORT: a whole report came. KILL: by the
    daemon, reason first. OVER: its process is gone, or nothing that it may still do is looked at. DROP: refused, cancelled
    or lost while it waited.
    """

    DISPATCHED = "dispatched"
    SENT_BACK = "sent back"
    REPORT = "report"
    KILL = "kill"
    OVER = "over"
    DROP = "drop"


_W, _WE = WorkerState, WorkerEvent
WORKER: Final[Mapping[tuple[WorkerState, WorkerEvent], WorkerState]] = MappingProxyType(
    {
        (_W.FORKING, _WE.FORKED): _W.ENTERING,
        (_W.FORKING, _WE.FORK_FAILED): _W.GONE,
        # Its descriptors could not be taken for lack of room, so it was let go before it was known.
        (_W.FORKING, _WE.REAPED): _W.GONE,
        (_W.FORKING, _WE.TEMPLATE_GONE): _W.GONE,
        (_W.ENTERING, _WE.ENTERED): _W.IDLE,
        (_W.ENTERING, _WE.GIVEN_UP): _W.ENDING,
        (_W.ENTERING, _WE.REAPED): _W.GONE,
        (_W.ENTERING, _WE.TEMPLATE_GONE): _W.GONE,
        (_W.IDLE, _WE.TAKEN): _W.BUSY,
        (_W.IDLE, _WE.GIVEN_UP): _W.ENDING,
        (_W.IDLE, _WE.REAPED): _W.GONE,
        (_W.IDLE, _WE.TEMPLATE_GONE): _W.GONE,
        (_W.BUSY, _WE.RETIRED): _W.ENDING,
        # Reaped while busy it stays so: its job is still to be judged, and RETIRED follows.
        (_W.BUSY, _WE.REAPED): _W.BUSY,
        (_W.BUSY, _WE.TEMPLATE_GONE): _W.GONE,
        (_W.ENDING, _WE.REAPED): _W.GONE,
        (_W.ENDING, _WE.TEMPLATE_GONE): _W.GONE,
    }
)

_G, _GE = GenerationState, GenerationEvent
GENERATION: Final[Mapping[tuple[GenerationState, GenerationEvent], GenerationState]] = MappingProxyType(
    {
        (_G.STARTING, _GE.CAME_UP): _G.READY,
        (_G.STARTING, _GE.ENDED): _G.FAILED,
        (_G.STARTING, _GE.STOP): _G.CLOSED,
        (_G.READY, _GE.PROVED): _G.SERVING,
        (_G.READY, _GE.REFUSED): _G.FAILED,
        (_G.READY, _GE.ENDED): _G.FAILED,
        (_G.READY, _GE.REPLACED): _G.DRAINING,
        (_G.READY, _GE.STOP): _G.CLOSED,
        (_G.SERVING, _GE.REPLACED): _G.DRAINING,
        (_G.SERVING, _GE.ENDED): _G.FAILED,
        (_G.SERVING, _GE.STOP): _G.CLOSED,
        (_G.DRAINING, _GE.EMPTY): _G.CLOSED,
        (_G.DRAINING, _GE.ENDED): _G.CLOSED,
        (_G.DRAINING, _GE.STOP): _G.CLOSED,
        (_G.FAILED, _GE.START): _G.STARTING,
        (_G.FAILED, _GE.ENDED): _G.FAILED,
        (_G.FAILED, _GE.STOP): _G.CLOSED,
        (_G.CLOSED, _GE.ENDED): _G.CLOSED,
        (_G.CLOSED, _GE.STOP): _G.CLOSED,
    }
)

_J, _JE = JobState, JobEvent
JOB: Final[Mapping[tuple[JobState, JobEvent], JobState]] = MappingProxyType(
    {
        (_J.QUEUED, _JE.DISPATCHED): _J.RUNNING,
        (_J.QUEUED, _JE.DROP): _J.ANSWERED,
        (_J.RUNNING, _JE.SENT_BACK): _J.QUEUED,
        (_J.RUNNING, _JE.REPORT): _J.REPORTED,
        (_J.RUNNING, _JE.KILL): _J.KILLED,
        (_J.RUNNING, _JE.OVER): _J.ANSWERED,
        # A whole report wins over whatever comes after it.
        (_J.REPORTED, _JE.KILL): _J.REPORTED,
        (_J.REPORTED, _JE.OVER): _J.ANSWERED,
        (_J.KILLED, _JE.KILL): _J.KILLED,
        # It was on its way when the signal was sent.
        (_J.KILLED, _JE.REPORT): _J.REPORTED,
        (_J.KILLED, _JE.OVER): _J.ANSWERED,
    }
)

_State = TypeVar("_State", WorkerState, GenerationState, JobState)
_Event = TypeVar("_Event", WorkerEvent, GenerationEvent, JobEvent)


class ImpossibleStep(RuntimeError):
    """An event came that this state does not know: a mistake of ours, never of a client or a job."""


def step(table: Mapping[tuple[_State, _Event], _State], state: _State, event: _Event) -> _State:
    """The state that follows. Raises ImpossibleStep where the table has none."""
    try:
        return table[state, event]
    except KeyError:
        raise ImpossibleStep(f"{type(state).__name__} {state.value}: no {event.value}") from None

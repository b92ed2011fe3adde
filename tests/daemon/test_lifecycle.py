"""The tables of lifecycles: every state x event, what can be reached, what never can."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import pytest

from warmfork_daemon.lifecycle import (
    GENERATION,
    JOB,
    WORKER,
    GenerationEvent,
    GenerationState,
    ImpossibleStep,
    JobEvent,
    JobState,
    WorkerEvent,
    WorkerState,
    step,
)

TABLES: dict[str, tuple[Mapping[Any, Any], type[enum.Enum], type[enum.Enum], Any, Any]] = {
    "worker": (WORKER, WorkerState, WorkerEvent, WorkerState.FORKING, WorkerState.GONE),
    "generation": (GENERATION, GenerationState, GenerationEvent, GenerationState.STARTING, GenerationState.CLOSED),
    "job": (JOB, JobState, JobEvent, JobState.QUEUED, JobState.ANSWERED),
}
each_table = pytest.mark.parametrize("name", TABLES)
EVERY_PAIR = [
    (name, state, event) for name, (_, states, events, _, _) in TABLES.items() for state in states for event in events
]


@pytest.mark.parametrize(("name", "state", "event"), EVERY_PAIR)
def test_every_pair_has_one_answer(name: str, state: Any, event: Any) -> None:
    """A pair of the table leads to its state; every other one raises and names both."""
    table = TABLES[name][0]
    if (state, event) in table:
        assert table[state, event] is step(table, state, event)
    else:
        with pytest.raises(ImpossibleStep, match=f"{state.value}: no {event.value}"):
            step(table, state, event)


@each_table
def test_every_state_is_reached_and_every_event_is_used(name: str) -> None:
    """From the first state every other one can be reached, and no event is there for nothing."""
    table, states, events, first, _ = TABLES[name]
    reached = {first}
    while more := {after for (before, _), after in table.items() if before in reached} - reached:
        reached |= more
    assert set(states) == reached
    assert set(events) == {event for _, event in table}


@each_table
def test_the_last_state_is_never_left_and_can_always_be_reached(name: str) -> None:
    """Nothing comes back from the end, and from everywhere there is a way to it."""
    table, states, _, _, last = TABLES[name]
    assert {last} >= {after for (before, _), after in table.items() if before is last}
    ends = {last}
    while more := {before for (before, _), after in table.items() if after in ends} - ends:
        ends |= more
    assert set(states) == ends


def test_a_job_is_answered_once() -> None:
    """Whatever happens after the answer is impossible: there is exactly one reply."""
    assert [] == [event for event in JobEvent if (JobState.ANSWERED, event) in JOB]


def test_a_report_is_never_undone_by_a_kill() -> None:
    """A kill after the whole report does not change the verdict."""
    assert JobState.REPORTED is step(JOB, JobState.REPORTED, JobEvent.KILL)


def test_only_an_idle_worker_gets_a_job() -> None:
    """One job a worker: BUSY is entered from IDLE alone, and never left for IDLE."""
    assert {WorkerState.IDLE} == {
        before for (before, event), after in WORKER.items() if after is WorkerState.BUSY and event is WorkerEvent.TAKEN
    }
    assert {WorkerState.ENTERING} == {before for (before, _), after in WORKER.items() if after is WorkerState.IDLE}


def test_only_a_proved_generation_serves() -> None:
    """Jobs go to a generation whose guard was proved, and to no other."""
    assert {(GenerationState.READY, GenerationEvent.PROVED)} == {
        pair for pair, after in GENERATION.items() if after is GenerationState.SERVING
    }

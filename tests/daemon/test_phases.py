"""Where a job's time went: the phases add up to what the daemon's clock saw, whatever the worker says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.results import PHASES, Phases
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.phases import phases_of

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 50) | st.integers(-(1 << 70), 1 << 70)


def a_job(submitted_s: float = 10.0, dispatched_s: float = 12.0) -> Job:
    request = ExecuteRequest(bytes(16), b"")
    return Job(request, Peer(0, b"r", 1, 1), "strict", 1.0, 1, 1, submitted_s, 99.0, dispatched_s)


def seconds(phases: Phases) -> list[float]:
    return [getattr(phases, name) for name in PHASES]


def test_each_phase_ends_where_the_next_begins() -> None:
    """A worker that tells the truth is taken at its word, and signing is told apart from looking."""
    phases = phases_of(a_job(), (13.0, 13.5, 16.0, 17.0), 18.0, 20.0, 0.5, 20.25)
    assert Phases(2.0, 1.0, 0.5, 2.5, 1.0, 1.0, 1.5, 0.5, 0.25) == phases


@pytest.mark.parametrize(
    "told_s",
    [
        (),
        (11.9, 13.0, 14.0, 15.0),
        (13.0, 13.5, 16.0, 18.1),
        (13.0, 12.5, 16.0, 17.0),
        (13.0, 13.5, 13.0, 17.0),
        (0.0, 0.0, 0.0, 0.0),
        (13.0, math.nan, 16.0, 17.0),
        (13.0, 14.0, 15.0, math.inf),
    ],
)
def test_what_cannot_be_is_dropped_as_a_whole(told_s: tuple[float, ...]) -> None:
    """Times before the dispatch, after the report, out of order, or none: all that the worker had is execution."""
    phases = phases_of(a_job(), told_s, 18.0, 20.0, 0.5, 20.25)
    assert Phases(2.0, 0.0, 0.0, 6.0, 0.0, 0.0, 1.5, 0.5, 0.25) == phases


@given(
    st.tuples(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER, ANY_NUMBER) | st.just(()),
    st.lists(st.floats(0, 9), min_size=5, max_size=5),
)
def test_phases_add_up(told_s: tuple[float, ...], steps_s: list[float]) -> None:
    """Invariant: no phase is negative or endless; those of the worker are dispatch to report, and all are the whole way."""
    queued_s, worker_s, looking_s, signing_s, composing_s = steps_s
    job = a_job(10.0, 10.0 + queued_s)
    ended_s = job.dispatched_s + worker_s
    looked_s = ended_s + looking_s + signing_s
    phases = phases_of(job, told_s, ended_s, looked_s, signing_s, looked_s + composing_s)
    spent = seconds(phases)
    assert all(0.0 <= one < math.inf for one in spent)
    assert pytest.approx(ended_s - job.dispatched_s) == sum(spent[1:6])
    assert pytest.approx(looked_s + composing_s - job.submitted_s) == sum(spent)


def test_clocks_that_were_read_in_another_order_make_no_negative_phase() -> None:
    """An end that was put down before the dispatch takes no time."""
    assert [2.0, *[0.0] * 8] == seconds(phases_of(a_job(), (), 5.0, 4.0, 0.0, 3.0))

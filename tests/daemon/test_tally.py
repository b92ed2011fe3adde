"""The account of what happened: counts, windows, quantiles, and a list of failures without a word of any job."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec import structs

from warmfork.results import PHASES, Dropped, ErrorInfo, Phases, Usage
from warmfork.wire.replies import ResultReply, SignedChart
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon import tally as module
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.tally import BYTES_BOUNDS, FAILURES_MAX, LATENCIES_MAX, SECONDS_BOUNDS, Histogram, Tally


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.5

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic_s", made)
    return made


def job(number: int = 1, uid: int = 7, template: str = "science") -> Job:
    request = ExecuteRequest(number.to_bytes(16, "big"), b"secret code")
    made = Job(request, Peer(0, b"r", uid, 9), "strict", 1.0, 1, 1, 0.0, 1.0)
    made.template = template
    return made


def answer(tally: Tally, verdict: Any = "ok", error: ErrorInfo | None = None, **fields: Any) -> None:
    one = fields.pop("job", job())
    tally.answer(one, ResultReply(one.request.id, verdict, error=error, **fields))


def ran(queue_s: float, wall_s: float) -> Usage:
    return Usage(wall_s=wall_s, cpu_s=wall_s / 2, peak_memory_bytes=1 << 21, queue_s=queue_s)


def test_histogram_bounds_are_inclusive() -> None:
    """A value equal to a bound is counted below it, one above the last bound only in the infinite bucket."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 3.0):
        histogram.add(value)
    assert [(1.0, 2), (2.0, 4), (math.inf, 5)] == histogram.cumulative()
    assert 7.5 == histogram.sum


def test_bounds_ascend() -> None:
    """Both sets of bounds ascend strictly, as Prometheus requires."""
    for bounds in (SECONDS_BOUNDS, BYTES_BOUNDS):
        assert sorted(set(bounds)) == list(bounds)


def test_jobs_that_ran_and_jobs_that_did_not(clock: Clock) -> None:
    """Only jobs that ran count for run time, wait, memory, charts and losses; all count for their verdict."""
    tally = Tally()
    chart = SignedChart(b"x", "image/png", 1, 1, b"s" * 32)
    answer(tally, usage=ran(0.5, 2.0), charts=(chart, chart), dropped=Dropped(10, 20, 3, 4))
    answer(tally, "rejected", ErrorInfo("QueueFull", "full"))
    science = tally.by_template["science"]
    assert {"ok": 1, "rejected": 1} == dict(tally.by_verdict) == dict(science.by_verdict)
    assert (1, 2.0, 2.0) == (tally.ran, tally.wall_s, tally.mean_wall_s)
    assert {"stdout": 10, "stderr": 20, "charts": 3, "files": 4} == dict(tally.dropped)
    assert (2, 1.0, 2.0, 0.5) == (science.charts, science.cpu_s, science.run_s.sum, science.queue_s.sum)
    assert 1 == science.run_s.cumulative()[-1][1]


def test_phases_are_summed_and_drawing_is_told_apart(clock: Clock) -> None:
    """Every job that ran adds to the sums and the mean of the last; only one whose figures were drawn to the rendering times."""
    tally = Tally()
    drawn, saved = (
        SignedChart(b"x", "image/png", 1, 1, b"s"),
        SignedChart(b"x", "image/png", 1, 1, b"s", file_name="a.png"),
    )
    for chart, rendered_s in ((drawn, 0.5), (saved, 0.25)):
        usage = structs.replace(ran(0.25, 1.0), phases=Phases(0.25, executed_s=1.0 - rendered_s, rendered_s=rendered_s))
        answer(tally, usage=usage, charts=(chart,))
    answer(tally, "rejected", ErrorInfo("QueueFull", "full"))
    science = tally.by_template["science"]
    assert {"queued_s": 0.5, "executed_s": 1.25, "rendered_s": 0.75} == {
        name: spent for name, spent in zip(PHASES, science.phases_s, strict=True) if spent
    }
    assert (0.5, 1) == (science.render_s.sum, science.render_s.cumulative()[-1][1])
    mean = tally.latency(clock.now_s)["mean"]
    assert (list(PHASES), 0.25, 0.625) == (list(mean), mean["queued_s"], mean["executed_s"])
    assert {} == Tally().latency(clock.now_s)["mean"]


def test_rates_are_of_whole_seconds(clock: Clock) -> None:
    """The second that still runs is not counted, and what is older than the window is not either."""
    tally = Tally()
    for _ in range(6):
        tally.admit()
    answer(tally)
    answer(tally, "error", ErrorInfo("ValueError", "x"))
    assert [0, 0, 0] == [row["answered"] for row in tally.rates(clock.now_s)]
    clock.now_s += 1
    assert [6, 0.6, 0.1] == [row["submitted"] for row in tally.rates(clock.now_s)]
    assert [2, 0.2, round(2 / 60, 3)] == [row["answered"] for row in tally.rates(clock.now_s)]
    assert [1, 0.1, round(1 / 60, 3)] == [row["not_ok"] for row in tally.rates(clock.now_s)]
    clock.now_s += 5
    assert [0, 0.6, 0.1] == [row["submitted"] for row in tally.rates(clock.now_s)]
    clock.now_s += 54
    assert [0, 0, 0.1] == [row["submitted"] for row in tally.rates(clock.now_s)]
    clock.now_s += 1
    assert [0, 0, 0] == [row["submitted"] for row in tally.rates(clock.now_s)]
    clock.now_s += 61 * 1_000  # the same places of the ring, long after
    assert [0, 0, 0] == [row["submitted"] for row in tally.rates(clock.now_s)]


def test_a_place_of_the_ring_starts_from_nothing(clock: Clock) -> None:
    """What a second holds is not added to what stood in its place 61 seconds before."""
    tally = Tally()
    for _ in range(6):
        tally.admit()
    clock.now_s += 61
    tally.admit()
    clock.now_s += 1
    assert 1 == tally.rates(clock.now_s)[0]["submitted"]


def test_answers_by_second(clock: Clock) -> None:
    """The last minute second by second, oldest first."""
    tally = Tally()
    answer(tally)
    clock.now_s += 2
    answer(tally)
    answer(tally)
    clock.now_s += 1
    assert [1, 0, 2] == tally.latency(clock.now_s)["answered_by_second"][-3:]
    assert 60 == len(tally.latency(clock.now_s)["answered_by_second"])


def test_quantiles_are_values_that_were_seen(clock: Clock) -> None:
    """Nearest rank over the last jobs; zeros before the first one."""
    tally = Tally()
    empty = tally.latency(clock.now_s)
    assert (0, [0.0, 0.0, 0.0]) == (empty["jobs"], [row["p99_s"] for row in empty["phases"]])
    for number in range(1, 101):
        answer(tally, usage=ran(number / 100, number))
    queue, run, total = tally.latency(clock.now_s)["phases"]
    assert {"phase": "queue", "p50_s": 0.5, "p90_s": 0.9, "p99_s": 0.99, "max_s": 1.0} == queue
    assert {"phase": "run", "p50_s": 50, "p90_s": 90, "p99_s": 99, "max_s": 100} == run
    assert (101.0, 50.5) == (total["max_s"], total["p50_s"])
    assert [41.41, 101.0] == [tally.latency(clock.now_s)["recent_total_s"][place] for place in (0, -1)]


def test_memory_is_bounded(clock: Clock) -> None:
    """Neither latencies nor failures nor seconds grow with the number of jobs."""
    tally = Tally()
    for number in range(3 * LATENCIES_MAX):
        clock.now_s += 0.7
        answer(tally, "error", ErrorInfo("ValueError", "x"), usage=ran(0, 1), job=job(number))
    assert LATENCIES_MAX == tally.latency(clock.now_s)["jobs"]
    failures = tally.failures(clock.now_s)
    assert FAILURES_MAX == len(failures)
    assert (3 * LATENCIES_MAX - 1).to_bytes(16, "big").hex() == failures[0]["job_id"]


@pytest.mark.parametrize(
    ("verdict", "reported", "expected"),
    [
        ("error", "ZeroDivisionError", "ZeroDivisionError"),
        ("error", "password_is_hunter2", "other"),
        ("error", "\x1b[2J", "other"),
        ("memory_limit", "MemoryLimit", "MemoryLimit"),
        ("memory_limit", "x" * 500, "other"),
        ("timeout", "Timeout", "Timeout"),
        ("rejected", "QueueFull", "QueueFull"),
    ],
)
def test_a_failure_says_no_word_of_the_job(clock: Clock, verdict: str, reported: str, expected: str) -> None:
    """Of an error there is the name of one of Python's exceptions or the daemon's own word, and nothing else."""
    tally = Tally()
    answer(tally, verdict, ErrorInfo(reported, "secret message", 3, "secret traceback"))
    (failure,) = tally.failures(clock.now_s)
    assert expected == failure["error"]
    assert not any("secret" in str(value) for value in failure.values())
    assert (verdict, 7, "science", 1) == tuple(failure[name] for name in ("verdict", "uid", "template", "times"))


def test_rejections_in_a_row_are_one_failure(clock: Clock) -> None:
    """A thousand rejections of one kind leave the other failures in the list; another kind starts another line."""
    tally = Tally()
    answer(tally, "crashed", ErrorInfo("WorkerKilled", "x"))
    for _ in range(1_000):
        answer(tally, "rejected", ErrorInfo("QueueFull", "full"))
    answer(tally, "rejected", ErrorInfo("QueueFull", "full"), job=job(uid=8))
    told = [(row["verdict"], row["times"], row["uid"]) for row in tally.failures(clock.now_s)]
    assert [("rejected", 1, 8), ("rejected", 1_000, 7), ("crashed", 1, 7)] == told


def test_what_its_user_wanted_is_no_failure(clock: Clock) -> None:
    """A cancelled job is counted and not listed."""
    tally = Tally()
    answer(tally, "cancelled", ErrorInfo("Cancelled", "x"))
    assert {"cancelled": 1} == dict(tally.by_verdict)
    assert [] == tally.failures(clock.now_s)

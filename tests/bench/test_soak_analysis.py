"""What the soak's analysis calls flat and what it calls growing, by made-up series of runs with and without leaks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from bench.soak import analysis
from bench.soak.analysis import DESCRIPTORS, LATENCY_BEST, MEMORY, Rule

SHORT_S = 120.0
LONG_S = 1800.0
JOBS_PER_S = 15.0
KIB_PER_MIB = 1024.0
SEEDS = range(10)

Value = Callable[[float, random.Random], float]


def series(seconds: float, value: Value, *, step_s: float = 0.5, seed: int = 1) -> list[tuple[float, float]]:
    """Points of a run, from a function of the time and of chance."""
    draw = random.Random(seed)
    times_s = [number * step_s for number in range(int(seconds / step_s))]
    return [(at_s, value(at_s, draw)) for at_s in times_s]


def memory(at_s: float, draw: random.Random) -> float:
    """A daemon that warms up to 44 MiB within 15 s; a tenth of the looks sees a big result on its way."""
    return 44.0 - 12.0 * max(0.0, 1 - at_s / 15) + draw.gauss(0, 3.0) + (30.0 if draw.random() < 0.1 else 0.0)


def descriptors(at_s: float, draw: random.Random) -> float:
    """Forty, and six for each of the jobs that run at the moment."""
    return 40.0 + 6.0 * draw.randint(0, 6)


def latency(at_s: float, draw: random.Random) -> float:
    """The best of each window: 3 ms, and up to three times that when others are at work."""
    return 3.0 * (1.0 + 2.0 * draw.random() ** 2)


HEALTHY = [(MEMORY, memory, 0.5), (DESCRIPTORS, descriptors, 0.5), (LATENCY_BEST, latency, 4.0)]


@pytest.mark.parametrize("seconds", [SHORT_S, LONG_S])
@pytest.mark.parametrize(("rule", "value", "step_s"), HEALTHY, ids=lambda part: getattr(part, "name", None))
def test_a_healthy_run_is_flat_whatever_the_noise(rule: Rule, value: Value, step_s: float, seconds: float) -> None:
    """Noise of the size seen on a busy machine, with a warm-up before it, is flat for every seed."""
    found = [analysis.judge(series(seconds, value, step_s=step_s, seed=seed), rule, seconds) for seed in SEEDS]
    assert [] == [str(finding) for finding in found if not finding.flat]


@pytest.mark.parametrize(
    ("rule", "value", "step_s", "per_s", "seconds"),
    [
        (MEMORY, memory, 0.5, 16 * JOBS_PER_S / KIB_PER_MIB, SHORT_S),
        (MEMORY, memory, 0.5, 1 * JOBS_PER_S / KIB_PER_MIB, LONG_S),
        (DESCRIPTORS, descriptors, 0.5, JOBS_PER_S / 50, SHORT_S),
        (DESCRIPTORS, descriptors, 0.5, JOBS_PER_S / 500, LONG_S),
        (LATENCY_BEST, latency, 4.0, JOBS_PER_S * 0.02, SHORT_S),
        (LATENCY_BEST, latency, 4.0, JOBS_PER_S * 0.002, LONG_S),
    ],
    ids=["16 KiB a job", "1 KiB a job", "a descriptor in 50 jobs", "one in 500", "20 us more each job", "2 us more"],
)
def test_a_steady_leak_is_seen_through_the_noise(
    rule: Rule, value: Value, step_s: float, per_s: float, seconds: float
) -> None:
    """What each job leaves behind or makes slower shows, in 2 minutes or in 30, for every seed."""

    def leaking(at_s: float, draw: random.Random) -> float:
        return value(at_s, draw) + per_s * at_s

    found = [analysis.judge(series(seconds, leaking, step_s=step_s, seed=seed), rule, seconds) for seed in SEEDS]
    assert [] == [str(finding) for finding in found if finding.flat]


def test_the_size_of_a_leak_is_told() -> None:
    """Both measures of the growth between the stretches come within a tenth of what was leaked."""
    per_s = 0.2
    finding = analysis.judge(series(SHORT_S, lambda at_s, draw: 40 + per_s * at_s), MEMORY, SHORT_S)
    leaked = per_s * SHORT_S * analysis.BETWEEN
    assert pytest.approx(leaked, rel=0.1) == finding.late - finding.early
    assert pytest.approx(leaked, rel=0.1) == finding.lately
    assert "GROWS" in str(finding)


@pytest.mark.parametrize(
    "value",
    [
        lambda at_s, draw: memory(at_s, draw) + (40.0 if at_s > SHORT_S / 2 else 0.0),
        lambda at_s, draw: memory(at_s, draw) + min(20.0, at_s / 3),
        lambda at_s, draw: memory(at_s, draw) + (200.0 if SHORT_S * 0.7 < at_s < SHORT_S * 0.8 else 0.0),
        lambda at_s, draw: memory(at_s, draw) - at_s / 10,
    ],
    ids=["a step", "a cache that fills for half of the run", "a burst", "less and less"],
)
def test_what_stops_growing_is_no_leak(value: Value) -> None:
    """One step, a bounded cache that fills late, a burst and memory given back are flat."""
    found = [analysis.judge(series(SHORT_S, value, seed=seed), MEMORY, SHORT_S) for seed in SEEDS]
    assert [] == [str(finding) for finding in found if not finding.flat]


def test_steps_that_go_on_are_a_leak() -> None:
    """A daemon that takes another 8 MiB every 12 s leaks, as one does that takes it evenly."""
    points = series(SHORT_S, lambda at_s, draw: memory(at_s, draw) + 8.0 * int(at_s / 12))
    assert not analysis.judge(points, MEMORY, SHORT_S).flat


@pytest.mark.parametrize("steps", [((0.8, 4.0),), ((0.8, 4.0), (0.9, 8.0))], ids=["they come", "they become more"])
def test_others_at_work_late_in_the_run_are_not_taken_for_the_daemon(steps: Sequence[tuple[float, float]]) -> None:
    """Latencies many times as long in the last fifth of the run are the machine's, not a leak."""

    def noisy(at_s: float, draw: random.Random) -> float:
        return latency(at_s, draw) * max((factor for share, factor in steps if at_s > share * SHORT_S), default=1.0)

    found = [analysis.judge(series(SHORT_S, noisy, step_s=4.0, seed=seed), LATENCY_BEST, SHORT_S) for seed in SEEDS]
    assert [] == [str(finding) for finding in found if not finding.flat]


def test_too_few_points_are_refused() -> None:
    """A series that says nothing of the one stretch or the other is not called flat."""
    whole = series(SHORT_S, memory)
    for points in ([], [at for at in whole if at[0] > SHORT_S / 2], [at for at in whole if at[0] < SHORT_S / 2]):
        with pytest.raises(ValueError, match="too few"):
            analysis.judge(points, MEMORY, SHORT_S)


def test_points_at_the_same_time_do_no_harm() -> None:
    """Pairs with no time between them have no slope and are left out."""
    points = [(float(number // 2), 1.0 + number) for number in range(120)]
    assert pytest.approx(2.0, rel=0.1) == analysis.slope(*analysis.columns(points))


def test_windows_have_their_own_latencies() -> None:
    """Each window has the median and p95 of what came within it, in milliseconds; empty ones are left out."""
    latencies = [(0.5, 0.010), (1.0, 0.020), (1.5, 0.030), (9.0, 0.005)]
    found = analysis.windows(latencies, 2.0, 10.0)
    assert [(1.0, 3), (9.0, 1)] == [(window.at_s, window.number) for window in found]
    assert pytest.approx([20.0, 5.0]) == [window.median_ms for window in found]
    assert pytest.approx([12.0, 29.0]) == [found[0].best_ms, found[0].p95_ms]

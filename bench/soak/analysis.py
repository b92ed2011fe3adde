"""Which series are flat. Pure: numbers in, findings out; made-up series with and without leaks test it.

A leak is growth that goes on. So a series is called growing only where two looks agree:

- *growth*: the level of the last third of the run against that of its second sixth. The first sixth is warm-up: caches of
  bounded size fill, the allocator finds its high-water mark. More than the allowance is too much.
- *lately*: the Theil-Sen slope of the second half, which is the median of the slopes between all pairs of points, times the
  time between the middles of the two stretches; half the allowance is enough. A cache that has filled up late has none, nor
  has a step of the allocator or a burst of noise: up to 29 % of the points may be anything without moving it much.

A steady leak has both, and each is its size. What is smaller than the allowance in the time given is not seen: the longer the
run, the smaller the leak that is. With the defaults that is 12 KiB, or a fiftieth of a descriptor, of each job in 2 minutes,
and 0.8 KiB in 30. The allowances of the rules below are twice what runs of 2 minutes without a leak showed on a machine of 2
CPUs with a load average of 12, more for latency.

What has nothing to do with a leak only ever adds: a big result on its way, jobs that run, others on the machine. So the level
of a stretch is the lower quartile of its values, and of latencies the best tenth of each window is what is looked at closely.
Medians and p95 may double or triple with the neighbours; they are there for pauses that become longer and longer.

What needs no allowance is counted when all is quiet, before and after: descriptors, processes, slots, files.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Points = Sequence[tuple[float, float]]
"""Time in seconds from the start of the load, and the value then."""

WARM_UP: Final = 1 / 6
EARLY: Final = (1 / 6, 2 / 6)
LATE: Final = (2 / 3, 1.0)
HALF: Final = (1 / 2, 1.0)
BETWEEN: Final = (sum(LATE) - sum(EARLY)) / 2
"""From the middle of the early stretch to that of the late one, as a share of the run."""
POINTS_MIN: Final = 3
"""In the early and in the late stretch each."""
_PAIRS_OF_MAX: Final = 300
"""Points that pairs are made of; more are thinned out evenly, which costs no accuracy that matters."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one series is allowed.

    Attributes:
        name, unit: as printed.
        quantile: of the values of a stretch that is its level.
        absolute: growth allowed in the series' own unit, from early to late.
        relative: growth allowed as a share of the early level. The larger of the two counts.
    """

    name: str
    unit: str
    quantile: float
    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one series, all in its unit.

    Attributes:
        name, unit: of the series.
        early, late: its levels.
        lately: growth in the time between them, by the slope of the second half.
        allowed: by its rule.
        flat: whether it is.
    """

    name: str
    unit: str
    early: float
    late: float
    lately: float
    allowed: float
    flat: bool

    def __str__(self) -> str:
        said = "flat" if self.flat else "GROWS"
        return (
            f"{self.name}: {said}, {self.early:.2f} early, {self.late:.2f} late {self.unit}; "
            f"by the second half {self.lately:+.2f}; allowed {self.allowed:.2f}"
        )


MEMORY: Final = Rule("memory of the daemon", "MiB", 0.25, absolute=12.0, relative=0.1)
TEMPLATE: Final = Rule("memory of the template", "MiB", 0.25, absolute=16.0, relative=0.1)
DESCRIPTORS: Final = Rule("open descriptors", "", 0.25, absolute=12.0, relative=0.1)
PROCESSES: Final = Rule("processes", "", 0.25, absolute=4.0, relative=0.1)
SLOTS: Final = Rule("slots on disk", "", 0.25, absolute=4.0, relative=0.1)
LATENCY_BEST: Final = Rule("latency, best tenth", "ms", 0.25, absolute=3.0, relative=0.75)
LATENCY: Final = Rule("latency, median", "ms", 0.25, absolute=15.0, relative=1.0)
LATENCY_P95: Final = Rule("latency, p95", "ms", 0.25, absolute=60.0, relative=2.0)


def judge(points: Points, rule: Rule, seconds: float) -> Finding:
    """Whether a series of a run of ``seconds`` is flat. Raises ValueError for one with too few points to say."""
    early, late, half = (_within(points, stretch, seconds) for stretch in (EARLY, LATE, HALF))
    if min(len(early[0]), len(late[0])) < POINTS_MIN:
        raise ValueError(f"{rule.name}: {len(points)} points are too few to say whether it is flat")
    before, after = (float(np.quantile(values, rule.quantile)) for _, values in (early, late))
    lately = slope(*half) * BETWEEN * seconds
    allowed = max(rule.absolute, rule.relative * before)
    grows = after - before > allowed and lately > allowed / 2
    return Finding(rule.name, rule.unit, before, after, lately, allowed, flat=not grows)


def slope(times_s: np.ndarray, values: np.ndarray) -> float:
    """The Theil-Sen slope: the median of the slopes between all pairs of points, per second."""
    keep = np.unique(np.linspace(0, len(times_s) - 1, min(len(times_s), _PAIRS_OF_MAX)).astype(int))
    times_s, values = times_s[keep], values[keep]
    first, second = np.triu_indices(len(times_s), k=1)
    apart_s = times_s[second] - times_s[first]
    return float(np.median((values[second] - values[first])[apart_s > 0] / apart_s[apart_s > 0]))


def columns(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Times and values, each as an array."""
    both = np.asarray(points, dtype=float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _within(points: Points, stretch: tuple[float, float], seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the points between two shares of the run."""
    return columns([point for point in points if stretch[0] * seconds <= point[0] <= stretch[1] * seconds])


@dataclass(frozen=True, slots=True)
class Window:
    """Latencies of a stretch: its middle; the best tenth's worst, median and p95 in milliseconds; and of how many."""

    at_s: float
    best_ms: float
    median_ms: float
    p95_ms: float
    number: int


def windows(latencies: Points, width_s: float, seconds: float) -> list[Window]:
    """Latencies in seconds, by windows of ``width_s`` from 0 to ``seconds``; windows without any are left out."""
    edges = np.arange(0.0, seconds + width_s / 2, width_s)
    found: list[Window] = []
    if not latencies:
        return found
    times_s, values = columns(latencies)
    for start_s, end_s in itertools.pairwise(edges):
        inside = values[(start_s <= times_s) & (times_s < end_s)] * 1e3
        if len(inside):
            best, median, p95 = (float(value) for value in np.quantile(inside, (0.1, 0.5, 0.95)))
            found.append(Window(float(start_s + end_s) / 2, best, median, p95, len(inside)))
    return found

"""Percentiles, summaries and ratios of measured times. Pure: no clock, no I/O, randomness only from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

P999_SAMPLES_MIN: Final = 1_000
"""With fewer samples, one in a thousand is not a percentile but the worst one seen."""
RESAMPLES: Final = 400


@dataclass(frozen=True, slots=True)
class Summary:
    """A set of measured values, all in the unit of the samples.

    Attributes:
        count: how many samples.
        least, most, mean: of all.
        p25, p50, p75, p90, p99: percentiles by nearest rank; p25 to p75 is the spread.
        p999: the 99.9th percentile; None with fewer than 1,000 samples.
    """

    count: int
    least: float
    p25: float
    p50: float
    p75: float
    p90: float
    p99: float
    p999: float | None
    most: float
    mean: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two measured values, with the 95 % interval of it (equal to it where none can be given)."""

    value: float
    low: float
    high: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that at least ``share`` (0 to 1) of the sorted samples do not exceed: nearest rank, never interpolated.

    Raises:
        ValueError: no samples, or a share outside 0 to 1.
    """
    if not ordered:
        raise ValueError("a percentile of no samples")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{share!r} is no share")
    # Rounded first: 0.07 * 100 is 7.000000000000001, and its ceiling would be the eighth.
    rank = math.ceil(round(share * len(ordered), 9))
    return ordered[max(rank, 1) - 1]


def summarize(samples: Sequence[float]) -> Summary:
    """All figures of these samples. Raises ValueError where there are none."""
    ordered = sorted(samples)
    return Summary(
        count=len(ordered),
        least=percentile(ordered, 0.0),
        p25=percentile(ordered, 0.25),
        p50=percentile(ordered, 0.5),
        p75=percentile(ordered, 0.75),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99),
        p999=percentile(ordered, 0.999) if len(ordered) >= P999_SAMPLES_MIN else None,
        most=ordered[-1],
        mean=math.fsum(ordered) / len(ordered),
    )


def ratio_of(
    above: Sequence[float], below: Sequence[float], share: float = 0.5, *, seed: int = 0, resamples: int = RESAMPLES
) -> Ratio:
    """The same percentile of two sets of samples, one over the other, with its interval by percentile bootstrap.

    Args:
        above, below: samples; where both have the same number, they are resampled in pairs, as rounds in which both were
            taken: what disturbed a whole round then cancels.
        share: which percentile, the median without it.

    Raises:
        ValueError: a set is empty, or the percentile of ``below`` is 0.
    """
    value = _quotient(percentile(sorted(above), share), percentile(sorted(below), share))
    draw = random.Random(seed)
    found = []
    for _ in range(resamples):
        if len(above) == len(below):
            rounds = draw.choices(range(len(above)), k=len(above))
            upper, lower = [above[number] for number in rounds], [below[number] for number in rounds]
        else:
            upper, lower = draw.choices(above, k=len(above)), draw.choices(below, k=len(below))
        found.append(_quotient(percentile(sorted(upper), share), percentile(sorted(lower), share)))
    found.sort()
    if not found:
        return Ratio(value, value, value)
    return Ratio(value, percentile(found, 0.025), percentile(found, 0.975))


def median(samples: Sequence[float]) -> float:
    """The lower median. Raises ValueError where there are no samples."""
    return percentile(sorted(samples), 0.5)


def milliseconds(seconds: float) -> str:
    """A time as it stands in a table of milliseconds: three digits, and never an exponent for a long one."""
    value = seconds * 1000
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def steps(samples: Sequence[float]) -> tuple[list[float], list[float]]:
    """Values and the share of samples up to each: the points of an empirical distribution."""
    ordered = sorted(samples)
    return ordered, [(place + 1) / len(ordered) for place in range(len(ordered))]


def _quotient(above: float, below: float) -> float:
    if below == 0:
        raise ValueError("a ratio to nothing")
    return above / below

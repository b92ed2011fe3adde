"""The targets as data, and what a run says to each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.suite.findings import Findings
from bench.suite.systems import ECHO, FLOOR, LIGHT_OFF, OURS

from warmfork.cli.bench_stats import Ratio, median, percentile, ratio_of

Sense = Literal["at most", "at least"]

MIB: Final = 1 << 20
_MORE_MB: Final = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table of targets.

    Attributes:
        what: the quantity.
        sense, bound: which values are accepted.
        unit: of bound and value; ``x`` is a ratio to what ``what`` names.
        measured: the value in a run's findings, None where that was not measured.
    """

    what: str
    sense: Sense
    bound: float
    unit: str
    measured: Callable[[Findings], Ratio | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A target, and how a run stands to it: ``met`` is None where it was not measured."""

    what: str
    sense: Sense
    bound: float
    unit: str
    value: Ratio | None
    met: bool | None


def judge(findings: Findings) -> list[Outcome]:
    """Every target against these findings, in the order of the table."""
    return [outcome_of(target, findings) for target in TARGETS]


def outcome_of(target: Target, findings: Findings) -> Outcome:
    """One target against these findings: its own value decides, the interval tells how sure that is."""
    value = target.measured(findings)
    met = None
    if value is not None:
        met = value.value <= target.bound if target.sense == "at most" else value.value >= target.bound
    return Outcome(target.what, target.sense, target.bound, target.unit, value, met)


def _paced(letter: str, above: str, below: str) -> Callable[[Findings], Ratio | None]:
    """The median of one system's paced calls over another's."""

    def measured(findings: Findings) -> Ratio | None:
        samples = findings.paced.get(letter, {})
        if not samples.get(above) or not samples.get(below):
            return None
        return ratio_of(samples[above], samples[below])

    return measured


def _tail(letter: str, above: str, below: str) -> Callable[[Findings], Ratio | None]:
    """The 99th percentile of one system's paced calls over the median of another's, which is taken as exact."""

    def measured(findings: Findings) -> Ratio | None:
        samples = findings.paced.get(letter, {})
        if not samples.get(above) or not samples.get(below):
            return None
        return ratio_of(samples[above], [median(samples[below])], 0.99)

    return measured


def _rates(findings: Findings, letter: str, system: str, callers: int) -> list[float]:
    return [level.jobs_per_s for level in findings.levels(letter, system, callers)]


def _rate(letter: str, system: str, callers: int) -> Callable[[Findings], Ratio | None]:
    """Answers a second: median, least and most of the repeats."""

    def measured(findings: Findings) -> Ratio | None:
        rates = _rates(findings, letter, system, callers)
        return Ratio(median(rates), min(rates), max(rates)) if rates else None

    return measured


def _rate_against(letter: str, system: str, callers: int, other: str) -> Callable[[Findings], Ratio | None]:
    """Answers a second over another system's, repeat by repeat."""

    def measured(findings: Findings) -> Ratio | None:
        ours, theirs = _rates(findings, letter, system, callers), _rates(findings, letter, other, callers)
        return _by_repeat(ours, theirs)

    return measured


def _rate_against_renders(letter: str, callers: int) -> Callable[[Findings], Ratio | None]:
    """Charts a second over what one in-process floor on each CPU draws together."""

    def measured(findings: Findings) -> Ratio | None:
        return _by_repeat(_rates(findings, letter, OURS, callers), findings.renders_per_s.get(letter, []))

    return measured


def _by_repeat(above: list[float], below: list[float]) -> Ratio | None:
    """Quotient of the medians; its interval are the least and the most of the repeats over the other's median."""
    if not above or not below:
        return None
    floor = median(below)
    return Ratio(median(above) / floor, min(above) / floor, max(above) / floor)


def _pixels(letter: str) -> Callable[[Findings], Ratio | None]:
    """Share of pixels in which our chart is not the floor's."""

    def measured(findings: Findings) -> Ratio | None:
        return _exactly(findings.pixels[letter]["differing"]) if letter in findings.pixels else None

    return measured


def _cpu(findings: Findings) -> Ratio | None:
    ours = findings.cpu_s.get("T", {}).get(OURS, {}).get("template and workers")
    bare = findings.forks.get("bare interpreter, T", {}).get("cpu_s")
    return _exactly(ours / bare) if ours is not None and bare else None


def _memory(name: str) -> Callable[[Findings], Ratio | None]:
    def measured(findings: Findings) -> Ratio | None:
        anon_bytes = findings.memory.get(name, {}).get("anon_bytes")
        return None if anon_bytes is None else _exactly(anon_bytes / MIB)

    return measured


def fork_ratio(rows: Sequence[Mapping[str, Any]], more_mb: int) -> Ratio | None:
    """CPU of a fork with the heap in a memfd and so much more in it, over the same without: the dearest kind decides.

    Args:
        rows: what ``bench/fork_cost.py --json`` prints.
        more_mb: megabytes of preloaded data.

    Returns:
        None without a row for both; the interval is from the cheapest kind of data to the dearest.
    """
    cpu_ms = [(row["megabytes"], float(row["cpu_ms"])) for row in rows if row["how"] == "memfd"]
    base = [value for megabytes, value in cpu_ms if not megabytes]
    more = [value for megabytes, value in cpu_ms if megabytes == more_mb]
    if not base or not more:
        return None
    return Ratio(max(more) / base[0], min(more) / base[0], max(more) / base[0])


def _fork_by_size(findings: Findings) -> Ratio | None:
    return fork_ratio(findings.fork_by_size or [], _MORE_MB)


def _many_callers_rate(findings: Findings) -> Ratio | None:
    """Answers a second with 64 callers over the best of all levels."""
    medians = {callers: median(_rates(findings, "T", OURS, callers)) for callers in findings.callers("T", OURS)}
    return _exactly(medians[64] / max(medians.values())) if 64 in medians else None


def _many_callers_p99(findings: Findings) -> Ratio | None:
    """The 99th percentile with 64 callers over the time that 64 jobs take at the rate of the same calls."""
    levels = findings.levels("T", OURS, 64)
    if not levels:
        return None
    each = [percentile(sorted(level.taken_s), 0.99) * level.jobs_per_s / 64 for level in levels]
    return Ratio(median(each), min(each), max(each))


def _exactly(value: float) -> Ratio:
    return Ratio(value, value, value)


TARGETS: Final = (
    Target("T paced, p50, to the paced echo", "at most", 4, "x", _paced("T", OURS, ECHO)),
    Target("T paced, p99, to the paced echo's p50", "at most", 15, "x", _tail("T", OURS, ECHO)),
    Target("T paced, cold python to ours", "at least", 700, "x", _paced("T", "cold python", OURS)),
    Target("T paced, forkserver to ours", "at least", 15, "x", _paced("T", "forkserver", OURS)),
    Target("T paced, ProcessPoolExecutor to ours", "at least", 11, "x", _paced("T", "ProcessPoolExecutor", OURS)),
    Target("T paced, warm Jupyter kernel to ours", "at least", 5, "x", _paced("T", "Jupyter kernel", OURS)),
    *(
        Target(f"{letter} paced, p50, to the floor in process", "at most", 1.0, "x", _paced(letter, OURS, FLOOR))
        for letter in "CSZD"
    ),
    *(
        Target(
            f"{letter}, pixels that differ from the floor's", "at most", 0, "share",
            _pixels(letter),
        )
        for letter in "CSZ"
    ),
    Target("T, 4 callers, science template", "at least", 600, "jobs/s", _rate("T", LIGHT_OFF, 4)),
    Target(
        "T, 4 callers, science template, to ProcessPoolExecutor", "at least", 3.5, "x",
        _rate_against("T", LIGHT_OFF, 4, "ProcessPoolExecutor"),
    ),
    Target("T, 4 callers, light workers", "at least", 1_000, "jobs/s", _rate("T", OURS, 4)),
    Target(
        "C, 4 callers, to ProcessPoolExecutor", "at least", 1.15, "x",
        _rate_against("C", OURS, 4, "ProcessPoolExecutor"),
    ),
    Target("C, 4 callers, to in-process renders on every CPU", "at least", 0.95, "x", _rate_against_renders("C", 4)),
    Target("CPU of a T job, template and worker, to a bare interpreter's fork-run-exit", "at most", 3, "x", _cpu),
    Target("fork with 1 GiB more in the template", "at most", 1.2, "x", _fork_by_size),
    Target("RssAnon of an idle worker", "at most", 4, "MiB", _memory("warmfork, idle worker")),
    Target("RssAnon of a running C job", "at most", 30, "MiB", _memory("warmfork, running C")),
    Target("T, 64 callers, rate to the best of all levels", "at least", 0.95, "x", _many_callers_rate),
    Target("T, 64 callers, p99 to 64 / rate", "at most", 1.5, "x", _many_callers_p99),
)  # fmt: skip

"""The run on paper: tables in Markdown, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.suite.findings import Findings, pooled
from bench.suite.systems import ASYNCIO, ECHO, FLOOR, LIGHT_OFF, OURS
from bench.suite.targets import Outcome
from bench.suite.workloads import ALL

from warmfork.cli.bench_stats import Ratio, median, milliseconds, summarize

_MIB: Final = 1 << 20
_CURVES: Final = (OURS, ASYNCIO, LIGHT_OFF, "forkserver", "ProcessPoolExecutor")
_PHASE_CALLERS: Final = 4


def markdown(findings: Findings, outcomes: Sequence[Outcome], plots: Sequence[str], *, quick: bool) -> str:
    """The whole page; ``plots`` are file names beside it."""
    parts = [
        _head(findings, quick=quick),
        _section("Targets", _target_table(outcomes)),
        _section("Paced calls, round trip in ms", _paced_table(findings)),
        _section("Callers at the same time", _load_table(findings)),
        _section("CPU of one job, ms", _cpu_table(findings)),
        _section("Memory, MiB", _memory_table(findings)),
        _section("Bare forks, ms", _fork_table(findings)),
        _section("A fork against the size of the template (bench/fork_cost.py)", _size_table(findings)),
        _section("Phases of one paced job, medians in ms", _phase_table(findings)),
        *(
            _section(
                f"Phases of {letter} with {_PHASE_CALLERS} callers, medians in ms", _loaded_phases(findings, letter)
            )
            for letter in findings.load
        ),
        _section("Pixels against the floor's", _pixel_table(findings)),
    ]
    if findings.skipped:
        parts.append(_section("Not measured", _skipped_lines(findings)))
    parts += [f"![{name.removesuffix('.png')}]({name})\n" for name in plots]
    return "\n".join(part for part in parts if part)


def draw(findings: Findings, out: Path) -> list[str]:
    """Latency distributions, latency and rate against load, and where one job's time goes; names of the files made."""
    from warmfork.cli import bench_plots

    drawn = []
    for letter, samples in findings.paced.items():
        curves = {name: values for name, values in sorted(samples.items(), key=_speed) if values}
        if curves:
            path = out / f"latency-{letter}.png"
            drawn.append(bench_plots.draw_distributions(path, f"Paced calls, {letter}: {ALL[letter].title}", curves))
    for letter in findings.load:
        rows = {name: _load_rows(findings, letter, name) for name in _CURVES}
        rows = {name: points for name, points in rows.items() if points}
        if rows:
            drawn.append(bench_plots.draw_load(out / f"load-{letter}.png", f"{letter} under load", rows))
    phases = {letter: found for letter, found in findings.phases_s.items() if found}
    if phases:
        drawn.append(bench_plots.draw_phases(out / "phases.png", "Where the time of one job goes", phases))
    return [path.name for path in drawn]


def _speed(row: tuple[str, list[float]]) -> float:
    return median(row[1]) if row[1] else 0.0


def _load_rows(findings: Findings, letter: str, name: str) -> list[tuple[int, float, float, float]]:
    rows = []
    for callers in findings.callers(letter, name):
        levels = findings.levels(letter, name, callers)
        if pooled(levels):
            found = summarize(pooled(levels))
            rows.append((callers, median([level.jobs_per_s for level in levels]), found.p50, found.p99))
    return rows


def _head(findings: Findings, *, quick: bool) -> str:
    facts = findings.facts
    load = ", ".join(f"{value:.2f}" for value in facts["load_before"])
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    notes = []
    if quick:
        notes.append("**A quick run: it shows that everything works, its numbers prove nothing.**\n")
    if facts["noisy"]:
        notes.append("**Others were at work on this machine: read ratios with their intervals, not times.**\n")
    return "\n".join(
        [
            "# Benchmark suite",
            "",
            *notes,
            f"{facts['when']}, commit {facts['commit'] or 'unknown'}, {facts['taken_s']:.0f} s, "
            f"`python -m bench.suite{' --quick' if quick else ''}`.",
            f"{facts['cpus']} CPUs ({facts['cpu_model']}{', virtual' if facts['virtual'] else ''}), "
            f"{facts['memory_bytes'] / (1 << 30):.0f} GiB, Linux {facts['kernel']}, {facts['libc']}, Python {facts['python']}.",
            f"{versions}.",
            f"Load average before: {load}; idle just before: {facts['idle_before']:.0%}.",
            *(_daemon_line(name, daemon) for name, daemon in facts.get("daemons", {}).items()),
            "",
        ]
    )


def _daemon_line(name: str, daemon: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{key} = {value}" for key, value in daemon["settings"].items()) or "as shipped"
    return f"Daemon of {name!r}: {settings}; ready after {daemon['start_s']:.2f} s, at rest after {daemon['settled_s']:.2f} s."


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines, ""]) if lines else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A Markdown table whose columns stand in line; the first ``words`` columns are text, the others numbers."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = "|".join(
        "-" * (width + 2) if column < words else "-" * (width + 1) + ":" for column, width in enumerate(widths)
    )
    return [line(head), f"|{rule}|", *(line(row) for row in rows)]


def _target_table(outcomes: Sequence[Outcome]) -> list[str]:
    rows = []
    for outcome in outcomes:
        met = {True: "met", False: "**not met**", None: "not measured"}[outcome.met]
        value, interval = ("-", "-") if outcome.value is None else _shown(outcome.value)
        rows.append([outcome.what, f"{outcome.sense} {outcome.bound:g} {outcome.unit}", value, interval, met])
    return _table(["what", "target", "measured", "interval", ""], rows, words=2)


def _shown(value: Ratio) -> tuple[str, str]:
    if value.low == value.high:
        return _number(value.value), "-"
    return _number(value.value), f"{_number(value.low)} to {_number(value.high)}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _paced_table(findings: Findings) -> list[str]:
    rows = []
    for letter, samples in findings.paced.items():
        floor = samples.get(ECHO) or samples.get(FLOOR)
        for name, values in sorted(samples.items(), key=_speed):
            if not values:
                continue
            found = summarize(values)
            times = (found.p50, found.p90, found.p99, found.p999)
            cells = ["-" if seconds is None else milliseconds(seconds) for seconds in times]
            spread = f"{milliseconds(found.p25)} to {milliseconds(found.p75)}"
            rows.append(
                [letter, name, *cells, spread, _number(found.p50 / median(floor)) if floor else "-", str(found.count)]
            )
    head = ["", "system", "p50", "p90", "p99", "p99.9", "p25 to p75", "p50 / floor", "calls"]
    return _table(head, rows, words=2)


def _load_table(findings: Findings) -> list[str]:
    rows = []
    for letter, systems in findings.load.items():
        for name in sorted(systems):
            for callers in findings.callers(letter, name):
                levels = findings.levels(letter, name, callers)
                rates = sorted(level.jobs_per_s for level in levels)
                if not pooled(levels):
                    continue
                found = summarize(pooled(levels))
                times = [milliseconds(seconds) for seconds in (found.p50, found.p90, found.p99)]
                rows.append(
                    [letter, name, str(callers), f"{median(rates):.1f}", f"{rates[0]:.1f} to {rates[-1]:.1f}", *times]
                )
        if rates := sorted(findings.renders_per_s.get(letter, [])):
            spread = f"{rates[0]:.1f} to {rates[-1]:.1f}"
            rows.append([letter, "in process, one on each CPU", "-", f"{median(rates):.1f}", spread, "-", "-", "-"])
    return _table(["", "system", "callers", "jobs/s", "least to most", "p50 ms", "p90 ms", "p99 ms"], rows, words=2)


def _cpu_table(findings: Findings) -> list[str]:
    columns = ("job", "client", "daemon", "template and workers")
    rows = [
        [letter, name, *(milliseconds(parts[column]) if column in parts else "-" for column in columns)]
        for letter, systems in findings.cpu_s.items()
        for name, parts in systems.items()
    ]
    return _table(["", "system", *columns], rows, words=2)


def _memory_table(findings: Findings) -> list[str]:
    columns = ("private_bytes", "proportional_bytes", "anon_bytes", "resident_bytes")
    rows = [
        [name, *("-" if (size := found.get(column)) is None else f"{size / _MIB:.1f}" for column in columns)]
        for name, found in findings.memory.items()
    ]
    return _table(["process", "private", "proportional", "RssAnon", "resident"], rows)


def _fork_table(findings: Findings) -> list[str]:
    rows = []
    for name, found in findings.forks.items():
        call = milliseconds(median(found["fork_s"])) if "fork_s" in found else "-"
        cpu = milliseconds(found["cpu_s"]) if "cpu_s" in found else "-"
        faults = f"{found['faults']:.0f}" if "faults" in found else "-"
        rows.append([name, call, milliseconds(median(found["taken_s"])), cpu, faults])
    return _table(["process", "fork call", "until reaped", "CPU", "page faults"], rows)


def _size_table(findings: Findings) -> list[str]:
    columns = ("cpu_ms", "wall_ms", "fork_ms", "faults")
    rows = [
        [str(row["name"]), *(_number(float(row[column])) if column in row else "-" for column in columns)]
        for row in findings.fork_by_size or []
    ]
    return _table(["template", "CPU ms", "wall ms", "fork call ms", "page faults"], rows)


def _phase_table(findings: Findings) -> list[str]:
    return _phases({letter: phases for letter, phases in findings.phases_s.items() if phases})


def _loaded_phases(findings: Findings, letter: str) -> list[str]:
    """Of each system that tells its phases, over the repeats of one level together."""
    found: dict[str, dict[str, float]] = {}
    for name in findings.load[letter]:
        samples: dict[str, list[float]] = {}
        for level in findings.levels(letter, name, _PHASE_CALLERS):
            for phase, values in level.phases_s.items():
                samples.setdefault(phase, []).extend(values)
        if samples:
            found[name] = {phase: median(values) for phase, values in samples.items() if values}
    return _phases(found)


def _phases(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = list(dict.fromkeys(name for phases in found.values() for name in phases))
    rows = [
        [what, *(milliseconds(phases[name]) if name in phases else "-" for name in names)]
        for what, phases in found.items()
    ]
    return _table(["", *names], rows)


def _pixel_table(findings: Findings) -> list[str]:
    rows = [[letter, f"{found['differing']:.2%}", f"{found['most']:.0f}"] for letter, found in findings.pixels.items()]
    return _table(["", "differing", "largest difference of a channel, of 255"], rows)


def _skipped_lines(findings: Findings) -> list[str]:
    """What was left out, together where the reason is the same."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in findings.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"- {'; '.join(names)}: {reason}" for reason, names in by_reason.items()]


def lines_of(outcomes: Sequence[Outcome]) -> list[str]:
    """The targets as text for a terminal."""
    return _target_table(outcomes)

"""What a load test found, as JSON for programs and Markdown for people."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import warmfork
from warmfork.cli.bench_load import Level, phase_medians_s
from warmfork.cli.bench_stats import Summary, milliseconds, summarize
from warmfork.cli.bench_workloads import Workload


def machine() -> dict[str, Any]:
    """The machine that the client runs on, and how busy it is now."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def daemon_facts(status: Mapping[str, Any], *, private: bool) -> dict[str, Any]:
    """What of a daemon's status a reader needs to judge its numbers."""
    workers = status.get("workers", {})
    return {
        "version": status.get("version", ""),
        "private": private,
        "running_max": workers.get("running_max"),
        "guarded": not status.get("guard", {}).get("unguarded", False),
        "memory_bytes": status.get("process", {}).get("rss_bytes"),
    }


def as_json(facts: Mapping[str, Any], results: Mapping[str, Sequence[Level]]) -> dict[str, Any]:
    """The whole report as plain nested data; times in seconds, each sample in it."""
    return {
        "format": 1,
        "client": warmfork.__version__,
        **facts,
        "workloads": {
            letter: {
                "levels": [
                    {**dataclasses.asdict(level), "jobs_per_s": level.jobs_per_s, "summary_s": _summary(level)}
                    for level in levels
                ],
                "phases_s": phase_medians_s(levels),
            }
            for letter, levels in results.items()
        },
    }


def as_markdown(
    facts: Mapping[str, Any],
    results: Mapping[str, Sequence[Level]],
    workloads: Mapping[str, Workload],
    plots: Sequence[str],
) -> str:
    """The report as a page; ``plots`` are file names beside it."""
    return "\n".join(_lines(facts, results, workloads, plots)) + "\n"


def table_lines(levels: Sequence[Level]) -> Iterator[str]:
    """One row for each number of callers, as a Markdown table whose columns stand in line."""
    head = ("callers", "jobs/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "worst ms", "jobs", "not ok")
    rows = [head, *(_row(level) for level in levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if not number:
            yield "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"


def _row(level: Level) -> tuple[str, ...]:
    jobs = sum(level.outcomes.values())
    not_ok = ", ".join(f"{count} {word}" for word, count in sorted(level.outcomes.items()) if word != "ok") or "0"
    if not level.taken_s:
        return str(level.callers), "0", *["-"] * 5, str(jobs), not_ok
    found = summarize(level.taken_s)
    times = (found.p50, found.p90, found.p99, found.p999, found.most)
    cells = ["-" if seconds is None else f"{seconds * 1000:.2f}" for seconds in times]
    return str(level.callers), f"{level.jobs_per_s:.1f}", *cells, str(jobs), not_ok


def _summary(level: Level) -> Mapping[str, Any] | None:
    summary: Summary | None = summarize(level.taken_s) if level.taken_s else None
    return None if summary is None else dataclasses.asdict(summary)


def _lines(
    facts: Mapping[str, Any],
    results: Mapping[str, Sequence[Level]],
    workloads: Mapping[str, Workload],
    plots: Sequence[str],
) -> Iterator[str]:
    client, daemon = facts["machine"], facts["daemon"]
    load = ", ".join(f"{value:.2f}" for value in client["load_average"])
    yield "# warmfork under load"
    yield ""
    yield f"{facts['when']}, {'a private daemon' if daemon['private'] else 'the running daemon'}:"
    yield f"warmfork {daemon['version']}, at most {daemon['running_max']} jobs at the same time,"
    yield f"{'guarded' if daemon['guarded'] else '**not guarded**'}. The client's machine: {client['cpus']} CPUs,"
    yield f"Linux {client['kernel']}, Python {client['python']}, load average {load} when it began."
    for letter, levels in results.items():
        yield ""
        yield f"## {letter}: {workloads[letter].title}"
        yield ""
        yield from table_lines(levels)
        yield from _phase_lines(phase_medians_s(levels))
    for name in plots:
        yield ""
        yield f"![{name.removesuffix('.png')}]({name})"


def _phase_lines(phases_s: Mapping[str, float]) -> Iterator[str]:
    if phases_s:
        yield ""
        parts = ", ".join(f"{name} {milliseconds(seconds)}" for name, seconds in phases_s.items())
        yield f"Phases with one caller, medians in ms: {parts}."

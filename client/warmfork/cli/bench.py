"""``warmfork bench``: a short load test against a running daemon, with a report."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from warmfork.cli import exits
from warmfork.cli.bench_load import Level, Load, ask, levels_up_to, phase_medians_s
from warmfork.cli.bench_report import as_json, as_markdown, daemon_facts, machine, table_lines
from warmfork.cli.bench_stats import summarize
from warmfork.cli.bench_workloads import ALL, Workload
from warmfork.cli.connection import add_connection_flags, connection_of
from warmfork.cli.sizes import parse_seconds
from warmfork.cli.terminal import say, write_shown
from warmfork.client import Client
from warmfork.embedding import embedded
from warmfork.errors import DaemonUnreachable

DESCRIPTION: Final = """\
Put a bounded load on the running daemon and measure it: callers that each send the next job when they have the answer to the
last, first one of them, then two, and so on. Where no daemon runs, a private one is started for it. Other users of the daemon
wait meanwhile as they do behind any jobs.
"""
EPILOG: Final = """\
examples:
  warmfork bench
  warmfork bench --workload T,C --seconds 30 --callers 8 --out report
  warmfork bench --address ipc:///run/warmfork/warmfork.sock --seconds 2

workloads: T print(1 + 1), N numpy, D pandas, C chart, S heatmap, Z Chinese chart, P chart as PDF and SVG.

the report: report.md, report.json with every sample, and, where matplotlib is installed here, plots.

exit codes: 0 every job ended as it should, 1 some did not, 2 usage, 69 no daemon answered.
"""
CALLERS_MAX: Final = 64
SECONDS_MAX: Final = 600.0
_WARM_UP_JOBS: Final = 3
_CANNOT_MAKE: Final = "cannot make the directory {!r}: {}"

_Progress = Callable[[float, str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", metavar="SECONDS", type=_seconds, default=10.0, help="of load in all, at most 600 (default: 10)"
    )
    parser.add_argument(
        "--callers", metavar="N", type=_callers, default=4, help="at the same time, at most 64 (default: 4)"
    )
    parser.add_argument(
        "--workload", metavar="LIST", type=_workloads, default=("T",), help="letters, such as T,C (default: T)"
    )
    parser.add_argument("--out", metavar="DIR", help="where the report goes (default: a new warmfork-bench-TIME here)")
    add_connection_flags(parser, note="; no private one is started then")


def execute(args: argparse.Namespace) -> int:
    """Measure and write the report.

    Raises:
        UsageError: the directory of the report cannot be made.
        WarmforkError: as ``Client.execute``; nothing is written then.
    """
    out = Path(args.out or time.strftime("warmfork-bench-%Y%m%d-%H%M%S"))
    _check_place(out)
    facts: dict[str, Any] = {"when": time.strftime("%Y-%m-%d %H:%M:%S %z"), "machine": machine()}
    with _some_daemon(args) as (client, private):
        facts["daemon"] = daemon_facts(client.status(), private=private)
        results = _measure(client, args)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise exits.UsageError(_CANNOT_MAKE.format(str(out), problem.strerror)) from None
    plots = _draw(out, results)
    report = as_markdown(facts, results, ALL, plots)
    (out / "report.json").write_text(json.dumps(as_json(facts, results), indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(report, encoding="utf-8")
    _print(results)
    say(f"wrote {out / 'report.md'}, report.json{''.join(f', {name}' for name in plots)}")
    right = all(set(level.outcomes) <= {"ok"} for levels in results.values() for level in levels)
    return exits.CODE_OF["ok" if right else "error"]


def _check_place(out: Path) -> None:
    """Before anything is measured: raise UsageError where the directory surely cannot be made. Nothing is made yet."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise exits.UsageError(_CANNOT_MAKE.format(str(out), f"{there} is no directory"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise exits.UsageError(_CANNOT_MAKE.format(str(out), f"{there} may not be written to"))


@contextlib.contextmanager
def _some_daemon(args: argparse.Namespace) -> Iterator[tuple[Client, bool]]:
    """A client of the daemon that runs, or of a private one; and whether it is private."""
    with Client(**connection_of(args)) as client:
        try:
            client.hello()
        except DaemonUnreachable:
            if args.address:
                raise
            say("no daemon answered; starting a private one for this measurement")
        else:
            yield client, False
            return
    with embedded() as client:
        yield client, True


def _measure(client: Client, args: argparse.Namespace) -> dict[str, list[Level]]:
    levels = levels_up_to(args.callers)
    share_s = args.seconds / (len(levels) * len(args.workload))
    results: dict[str, list[Level]] = {}
    with _progress(args.seconds) as show:
        done_s = 0.0
        for letter in args.workload:
            workload = ALL[letter]
            _warm_up(client, workload)
            results[letter] = []
            for callers in levels:
                label = f"{letter}, {callers} caller{'s' if callers > 1 else ''}"
                load = Load(partial(ask, client, workload), callers, share_s)
                results[letter].append(load.run(_shifted(show, done_s, share_s, label)))
                done_s += share_s
        show(args.seconds, "done")
    return results


def _warm_up(client: Client, workload: Workload) -> None:
    for _ in range(_WARM_UP_JOBS):
        if (outcome := ask(client, workload).outcome) != "ok":
            # Said once and early; the table will count them all.
            say(f"workload {workload.letter} ends as {outcome}")
            return


def _shifted(show: _Progress, done_s: float, share_s: float, label: str) -> Callable[[float], None]:
    return lambda seconds: show(done_s + min(seconds, share_s), label)


@contextlib.contextmanager
def _progress(seconds: float) -> Iterator[_Progress]:
    """A bar on stderr where that is a terminal and rich is installed; nothing elsewhere."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        say(f"measuring for {seconds:g} s (a bar needs rich: pip install 'warmfork[top]')")
        yield lambda _seconds, _label: None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        say(f"measuring for {seconds:g} s")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("warming up", total=seconds)
        yield lambda done_s, label: bar.update(task, completed=done_s, description=label)


def _draw(out: Path, results: Mapping[str, Sequence[Level]]) -> list[str]:
    """Draw what there is; names of the files made."""
    try:
        from warmfork.cli import bench_plots
    except ImportError as problem:
        say(f"no plots: {problem}; with matplotlib installed here, there are some")
        return []
    curves = {
        letter: [
            (level.callers, level.jobs_per_s, found.p50, found.p99)
            for level in levels
            if level.taken_s and (found := summarize(level.taken_s))
        ]
        for letter, levels in results.items()
    }
    taken = {
        f"{letter}, {level.callers} caller{'s' if level.callers > 1 else ''}": level.taken_s
        for letter, levels in results.items()
        for level in levels
        if level.taken_s
    }
    phases = {letter: phases for letter, levels in results.items() if (phases := phase_medians_s(levels))}
    drawn = []
    if taken:
        drawn.append(bench_plots.draw_distributions(out / "latency.png", "Latency", taken))
        drawn.append(
            bench_plots.draw_load(out / "load.png", "Under load", {k: rows for k, rows in curves.items() if rows})
        )
    if phases:
        drawn.append(bench_plots.draw_phases(out / "phases.png", "One job, one caller", phases))
    return [path.name for path in drawn]


def _print(results: Mapping[str, Sequence[Level]]) -> None:
    for letter, levels in results.items():
        write_shown("\n".join([f"{letter}: {ALL[letter].title}", *table_lines(levels), ""]), sys.stdout)


def _callers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= CALLERS_MAX):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of callers; write 1 to {CALLERS_MAX}")
    return int(text)


def _seconds(text: str) -> float:
    seconds = parse_seconds(text)
    if seconds > SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is too long; at most {SECONDS_MAX:g} s")
    return seconds


def _workloads(text: str) -> tuple[str, ...]:
    letters = tuple(dict.fromkeys(word.strip().upper() for word in text.split(",")))
    unknown = [letter for letter in letters if letter not in ALL]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no workload; there are {', '.join(ALL)}")
    return letters

"""What ``warmfork top`` shows, as plain text cells made from one ``status``. Pure: no terminal, no clock, no daemon.

Every cell passes ``_cell``: names come from clients and configurations, and none may steer the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from warmfork.cli.sizes import show_bytes, show_seconds
from warmfork.cli.terminal import one_line

BLOCKS: Final = "▁▂▃▄▅▆▇█"
BLOCKS_ASCII: Final = "_.-=+*%#"
_CELL_CHARS_MAX: Final = 60
_ID_CHARS: Final = 12

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table.

    Attributes:
        title: with what the columns do not say.
        columns: their headings.
        rows: cells as text.
        numbers: indexes of columns that are set to the right.
    """

    title: str
    columns: Row
    rows: tuple[Row, ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """One screen.

    Attributes:
        headline: which daemon.
        alarms: what an operator should see first; empty when all is well.
        facts: (name, value) pairs: jobs, queue, rates, kills.
        workers: one row each, busy ones first.
        jobs: the job id of each row of ``workers``; empty for an idle worker.
        queue: tenants that wait, most jobs first.
        latency: quantiles by phase.
        failures: the last jobs that did not end well.
        recent_total_s: totals of the last jobs, for a sparkline.
        answered_by_second: of the last minute.
    """

    headline: str
    alarms: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    workers: Table
    jobs: tuple[str, ...]
    queue: Table
    latency: Table
    failures: Table
    recent_total_s: tuple[float, ...]
    answered_by_second: tuple[float, ...]


def view_of(status: Mapping[str, Any]) -> View:
    """The screen for what a daemon answered; what an older one does not say is left out."""
    workers, jobs = _workers(status)
    latency = _map(status, "latency")
    address = ", ".join(map(str, _list(status, "addresses")))
    return View(
        headline=_cell(
            f"warmfork {status.get('version', '?')}, pid {status.get('pid', '?')}, "
            f"up {show_seconds(_number(status, 'uptime_s'))}, {address}",
            160,
        ),
        alarms=tuple(_alarms(status)),
        facts=tuple((name, _cell(value, 120)) for name, value in _facts(status)),
        workers=workers,
        jobs=jobs,
        queue=_queue(status),
        latency=_latency(latency),
        failures=_failures(status),
        recent_total_s=tuple(map(float, _list(latency, "recent_total_s"))),
        answered_by_second=tuple(map(float, _list(latency, "answered_by_second"))),
    )


def _alarms(status: Mapping[str, Any]) -> list[str]:
    found = []
    guard = _map(status, "guard")
    if guard.get("unguarded"):
        found.append("UNGUARDED: jobs run without the kernel's guard")
    elif guard and not guard.get("safe"):
        found.append("the guard is not proved for every template")
    found += [
        _cell(f"template {row.get('name')} is {row.get('state')}: {row.get('problem') or 'not up yet'}", 160)
        for row in _list(status, "templates")
        if row.get("state") != "ready"
    ]
    queue = _map(status, "queue")
    if _number(queue, "jobs") >= _number(queue, "jobs_max") > 0:
        found.append("the queue is full: jobs are rejected")
    return found


def _facts(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    workers, queue, jobs, process = (_map(status, name) for name in ("workers", "queue", "jobs", "process"))
    by_state, verdicts, kills = _map(workers, "by_state"), _map(jobs, "by_verdict"), _map(jobs, "kills")
    requests = _map(status, "requests")
    running = f"{int(_number(by_state, 'busy'))} of {int(_number(workers, 'running_max'))}"
    waiting = (
        f"{int(_number(queue, 'jobs'))} of {int(_number(queue, 'jobs_max'))}, {show_bytes(_number(queue, 'bytes'))}"
    )
    generations = [f"{row.get('name')} {row.get('generation', 1)}" for row in _list(status, "templates")]
    facts = [
        ("running", running),
        ("queued", waiting),
        ("workers", _counts(by_state) + f"; {int(_number(workers, 'forks'))} forks"),
        ("answered", _counts(verdicts)),
        ("killed", _counts(kills)),
        ("refused", _counts(_map(requests, "refused"))),
        ("undelivered", str(int(_number(requests, "undelivered_replies")))),
        ("generation", ", ".join(generations) or "-"),
        ("daemon", f"{show_bytes(_number(process, 'rss_bytes'))}, {int(_number(process, 'open_files'))} open files"),
    ]
    for row in _list(status, "rates"):
        rate = (
            f"{row.get('submitted', 0):g} in, {row.get('answered', 0):g} out, {row.get('not_ok', 0):g} not ok, a second"
        )
        facts.append((f"last {row.get('window_s')} s", rate))
    mean = _map(_map(status, "latency"), "mean")
    seconds = {name.removesuffix("_s"): _number(mean, name) for name in mean}
    worth_a_word = {name: spent for name, spent in seconds.items() if spent > 0.01 * sum(seconds.values())}
    if worth_a_word:
        facts.append(("mean job", ", ".join(f"{name} {show_seconds(spent)}" for name, spent in worth_a_word.items())))
    return facts


def _workers(status: Mapping[str, Any]) -> tuple[Table, tuple[str, ...]]:
    running = {str(row.get("job_id")): row for row in _list(status, "running")}
    listed = _list(_map(status, "workers"), "list")
    rows, jobs = [], []
    for worker in sorted(listed, key=lambda row: row.get("state") != "busy"):
        job_id = str(worker.get("job_id", ""))
        job = running.get(job_id, {})
        time = f"{_number(job, 'running_s'):.1f} of {_number(job, 'timeout_s'):g} s" if job else ""
        rows.append(
            (
                _cell(worker.get("pid", "")),
                _cell(worker.get("state", "")),
                _cell(worker.get("template", "")),
                show_seconds(_number(worker, "age_s")),
                show_bytes(_number(worker, "rss_bytes")),
                _cell(job_id[:_ID_CHARS]),
                _cell(_owner(job)) if job else "",
                time,
            )
        )
        jobs.append(job_id if job else "")
    columns = ("pid", "state", "template", "age", "memory", "job", "whose", "time")
    return Table("workers", columns, tuple(rows), frozenset({0, 3, 4})), tuple(jobs)


def _queue(status: Mapping[str, Any]) -> Table:
    queue = _map(status, "queue")
    listed = _list(queue, "list")
    rows = [
        (
            _cell(_owner(row)),
            _cell(row.get("tenant") or "-"),
            str(int(_number(row, "jobs"))),
            f"{_number(row, 'queue_share'):.0%}",
            f"{_number(row, 'turn_share'):.0%}",
        )
        for row in listed
    ]
    title = f"waiting: {int(_number(queue, 'tenants'))} of {int(_number(queue, 'owners'))} owners"
    return Table(title, ("whose", "tenant", "jobs", "of queue", "of turns"), tuple(rows), frozenset({2, 3, 4}))


def _latency(latency: Mapping[str, Any]) -> Table:
    names = ("p50_s", "p90_s", "p99_s", "max_s")
    rows = [
        (_cell(row.get("phase", "")), *(show_seconds(_number(row, name)) for name in names))
        for row in _list(latency, "phases")
    ]
    title = f"latency of the last {int(_number(latency, 'jobs'))} jobs"
    return Table(title, ("", "p50", "p90", "p99", "max"), tuple(rows), frozenset({1, 2, 3, 4}))


def _failures(status: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{show_seconds(_number(row, 'ago_s'))} ago",
            _cell(row.get("verdict", "")) + (f" x{row['times']}" if _number(row, "times") > 1 else ""),
            _cell(row.get("error", "")),
            _cell(_owner(row)),
            _cell(row.get("template", "")),
            _cell(str(row.get("job_id", ""))[:_ID_CHARS]),
        )
        for row in _list(status, "failures")
    ]
    return Table("last failures", ("when", "verdict", "error", "whose", "template", "job"), tuple(rows), frozenset({0}))


def _owner(row: Mapping[str, Any]) -> str:
    return str(row.get("client") or f"uid {row.get('uid', '?')}")


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


def spark(values: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """The last ``width`` values as one character each, from nothing to the highest of them."""
    shown = [value if math.isfinite(value) else 0.0 for value in values[-width:]]
    highest = max(shown, default=0.0)
    if highest <= 0:
        return blocks[0] * len(shown)
    return "".join(blocks[min(len(blocks) - 1, int(max(0.0, value) / highest * len(blocks)))] for value in shown)


def window(count: int, selected: int | None, height: int) -> range:
    """Which of ``count`` rows are shown in ``height`` lines, the selected one among them."""
    first = 0 if selected is None else max(0, min(selected - height // 2, count - height))
    return range(first, min(count, first + max(0, height)))


Act = Literal["", "quit", "cancel"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user points at.

    Attributes:
        job_id: of the selected job; empty for none.
        asking: the next key decides whether it is cancelled.
    """

    job_id: str = ""
    asking: bool = False

    def press(self, key: str, jobs: Sequence[str]) -> tuple[Choice, Act]:
        """What a key does: the next choice, and what is to be done now.

        Args:
            key: a character, or ``"up"``, ``"down"``.
            jobs: ids of the rows on the screen, empty where there is no job.
        """
        if key in ("q", "Q"):
            return self, "quit"
        if self.asking:
            return replace(self, asking=False), "cancel" if key in ("y", "Y") else ""
        there = [job for job in jobs if job]
        step = {"up": -1, "k": -1, "down": 1, "j": 1}.get(key, 0)
        if step and there:
            place = there.index(self.job_id) + step if self.job_id in there else (0 if step > 0 else -1)
            return Choice(there[place % len(there)]), ""
        if key == "c" and self.job_id in there:
            return replace(self, asking=True), ""
        return self, ""

    def still(self, jobs: Sequence[str]) -> Choice:
        """The same choice while its job is there, else none."""
        return self if self.job_id in jobs else Choice()


def outcome_text(job_id: str, outcome: str) -> str:
    """What to tell the user after a cancel."""
    name = _cell(job_id[:_ID_CHARS])
    if outcome in ("queued", "running"):
        return f"cancelled job {name} ({_cell(outcome)})"
    return (
        f"not cancelled: job {name} is over, or somebody else's. Only the user (over TCP: the key) that submitted a job "
        "can cancel it"
    )


def _cell(value: object, chars_max: int = _CELL_CHARS_MAX) -> str:
    text = one_line(str(value))
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def _map(section: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = section.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(section: Mapping[str, Any], name: str) -> list[Any]:
    value = section.get(name)
    return list(value) if isinstance(value, list | tuple) else []


def _number(section: Mapping[str, Any], name: str) -> float:
    value = section.get(name)
    return value if isinstance(value, int | float) else 0.0

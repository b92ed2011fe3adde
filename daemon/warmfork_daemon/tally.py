"""What has happened, counted as it happens: O(1) a job, bounded in memory, and nothing that a job wrote.

``status``, ``warmfork top`` and the metrics all read this one account, so they cannot contradict each other.
"""

from __future__ import annotations

import bisect
import builtins
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import add, attrgetter
from typing import Any, Final

from warmfork.results import PHASES, Phases
from warmfork.wire.replies import ResultReply
from warmfork_daemon.job import Job
from warmfork_daemon.reactor import monotonic_s

FAILURES_MAX: Final = 20
LATENCIES_MAX: Final = 512
RECENT_MAX: Final = 60
WINDOWS_S: Final = (1, 10, 60)

SECONDS_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
BYTES_BOUNDS: Final = tuple(float(1 << power) for power in (20, 22, 24, 26, 28, 29, 30, 31, 32, 33))

_QUANTILES: Final = (50, 90, 99)
_BUILTIN_ERRORS: Final = frozenset(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
)
_OWN_WORDS: Final = frozenset({"MemoryLimit", "DiskLimit", "UnknownError"})
_REPORTED: Final = ("error", "memory_limit", "disk_limit")
"""Verdicts whose error may be the worker's word; that of every other is the daemon's own."""
_SECONDS_KEPT: Final = max(WINDOWS_S) + 1

assert RECENT_MAX <= LATENCIES_MAX
assert list(SECONDS_BOUNDS) == sorted(set(SECONDS_BOUNDS))


class Histogram:
    """Counts of values by upper bound, the last bucket without one.

    Args:
        bounds: inclusive upper bounds, ascending.
    """

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[float, int]]:
        """(upper bound, how many values are at most that), the last bound infinite."""
        total, pairs = 0, []
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            total += count
            pairs.append((bound, total))
        return pairs


@dataclass(frozen=True, slots=True)
class Failure:
    """One job that did not end well, without a word of what it wrote.

    Attributes:
        at: seconds since 1970, by the wall clock.
        at_s: by the monotonic clock.
        job_id: of the last one, in hexadecimal digits.
        verdict: its word.
        error: the daemon's own word, or the name of one of Python's exceptions; any other class is ``"other"``.
        uid, client: whose it was: of the user on ipc (else -1), the name of the key over TCP (else empty).
        template: that it ran or would have run in.
        times: how many such rejections in a row this stands for; 1 for other verdicts.
    """

    at: float
    at_s: float
    job_id: str
    verdict: str
    error: str
    uid: int
    client: str
    template: str
    times: int = 1

    @property
    def kind(self) -> tuple[str, str, int, str, str]:
        """What rejections in a row must share to be told as one."""
        return (self.verdict, self.error, self.uid, self.client, self.template)


class _Seconds:
    """Events of the last minute by second, each kind in a column."""

    __slots__ = ("_columns", "_rows", "_stamps")

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._stamps = [-1] * _SECONDS_KEPT
        self._rows = [[0] * columns for _ in range(_SECONDS_KEPT)]

    def add(self, column: int, now_s: float) -> None:
        second = int(now_s)
        place = second % _SECONDS_KEPT
        if self._stamps[place] != second:
            self._stamps[place] = second
            self._rows[place] = [0] * self._columns
        self._rows[place][column] += 1

    def back(self, column: int, seconds: int, now_s: float) -> list[int]:
        """Counts of the last whole seconds, oldest first; the one that still runs is not among them."""
        last = int(now_s)
        places = [(second, second % _SECONDS_KEPT) for second in range(last - seconds, last)]
        return [self._rows[place][column] if self._stamps[place] == second else 0 for second, place in places]


_SUBMITTED, _ANSWERED, _NOT_OK = range(3)


@dataclass(slots=True)
class TemplateTally:
    """What became of the jobs of one template.

    Attributes:
        by_verdict: answered jobs.
        queue_s, run_s: seconds that jobs which ran had waited and ran, rendering included.
        render_s: seconds that rendering took in jobs that had something to render.
        phases_s: seconds that jobs which ran spent in each of ``results.PHASES``, all together.
        peak_memory_bytes: of jobs that ran, above what their idle worker had.
        cpu_s: of all its jobs.
        charts: that came back.
    """

    by_verdict: Counter[str] = field(default_factory=Counter)
    queue_s: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    run_s: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    render_s: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    phases_s: list[float] = field(default_factory=lambda: [0.0] * len(PHASES))
    peak_memory_bytes: Histogram = field(default_factory=lambda: Histogram(BYTES_BOUNDS))
    cpu_s: float = 0.0
    charts: int = 0


@dataclass(slots=True)
class Tally:
    """What has happened since the start.

    Attributes:
        started_s: by the monotonic clock.
        started_at: seconds since 1970.
        by_verdict: answered jobs.
        by_template: more of them, by the template's name.
        refused: requests answered with a typed error, by code.
        kills: jobs that ended because the daemon killed them, by reason.
        dropped: bytes of ``stdout`` and ``stderr``, and number of ``charts`` and ``files``, cut away by bounds.
        undelivered: replies whose client was gone.
        submitted: jobs that were admitted.
        wall_s: run time of all jobs that ran, for the mean.
        ran: their number.
    """

    started_s: float = field(default_factory=monotonic_s)
    started_at: float = field(default_factory=time.time)
    by_verdict: Counter[str] = field(default_factory=Counter)
    by_template: dict[str, TemplateTally] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    undelivered: int = 0
    submitted: int = 0
    wall_s: float = 0.0
    ran: int = 0
    _latencies: deque[tuple[float, float, Phases]] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))
    _failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=FAILURES_MAX))
    _seconds: _Seconds = field(default_factory=lambda: _Seconds(3))

    @property
    def mean_wall_s(self) -> float:
        """Mean run time of a job, 1 s while none has run."""
        return self.wall_s / self.ran if self.ran else 1.0

    def admit(self) -> None:
        """A job was admitted."""
        self.submitted += 1
        self._seconds.add(_SUBMITTED, monotonic_s())

    def answer(self, job: Job, reply: ResultReply) -> None:
        """A job got its reply."""
        now_s = monotonic_s()
        template = self.by_template.get(job.template)
        if template is None:  # names come from the configuration, so there are few
            template = self.by_template[job.template] = TemplateTally()
        self.by_verdict[reply.verdict] += 1
        template.by_verdict[reply.verdict] += 1
        self._seconds.add(_ANSWERED, now_s)
        if reply.usage.wall_s > 0:
            self._ran(template, reply)
        if reply.verdict != "ok":
            self._seconds.add(_NOT_OK, now_s)
            if reply.verdict != "cancelled":  # its own user wanted that
                self._fail(job, reply, now_s)

    def _ran(self, template: TemplateTally, reply: ResultReply) -> None:
        usage, dropped = reply.usage, reply.dropped
        self.ran += 1
        self.wall_s += usage.wall_s
        self._latencies.append((usage.queue_s, usage.wall_s, usage.phases))
        template.queue_s.add(usage.queue_s)
        template.run_s.add(usage.wall_s)
        template.phases_s = list(map(add, template.phases_s, _seconds_of(usage.phases)))
        if any(chart.file_name is None for chart in reply.charts):
            template.render_s.add(usage.phases.rendered_s)
        template.peak_memory_bytes.add(usage.peak_memory_bytes)
        template.cpu_s += usage.cpu_s
        template.charts += len(reply.charts)
        for name, count in (
            ("stdout", dropped.stdout_bytes),
            ("stderr", dropped.stderr_bytes),
            ("charts", dropped.charts),
            ("files", dropped.files),
        ):
            if count:
                self.dropped[name] += count

    def _fail(self, job: Job, reply: ResultReply, now_s: float) -> None:
        failure = Failure(
            time.time(),
            now_s,
            reply.id.hex(),
            reply.verdict,
            _error_word(reply),
            job.peer.uid,
            job.peer.name,
            job.template,
        )
        if failure.verdict == "rejected" and self._failures and self._failures[-1].kind == failure.kind:
            # An overload must not push every other failure out of a list of twenty.
            failure = replace(failure, times=self._failures.pop().times + 1)
        self._failures.append(failure)

    def failures(self, now_s: float) -> list[dict[str, Any]]:
        """The last jobs that did not end well, newest first."""
        return [
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(failure.at)),
                "ago_s": round(now_s - failure.at_s, 3),
                "job_id": failure.job_id,
                "verdict": failure.verdict,
                "error": failure.error,
                "uid": failure.uid,
                "client": failure.client,
                "template": failure.template,
                "times": failure.times,
            }
            for failure in reversed(self._failures)
        ]

    def rates(self, now_s: float) -> list[dict[str, Any]]:
        """Jobs a second over the last whole seconds of each window."""
        rows = []
        for window_s in WINDOWS_S:
            sums = [sum(self._seconds.back(column, window_s, now_s)) for column in (_SUBMITTED, _ANSWERED, _NOT_OK)]
            submitted, answered, not_ok = (round(count / window_s, 3) for count in sums)
            rows.append({"window_s": window_s, "submitted": submitted, "answered": answered, "not_ok": not_ok})
        return rows

    def latency(self, now_s: float) -> dict[str, Any]:
        """Quantiles over the last jobs that ran and where their time went, totals of the very last, answers by second."""
        queue, run = [one[0] for one in self._latencies], [one[1] for one in self._latencies]
        total = [waited + ran for waited, ran, _ in self._latencies]
        sums = map(sum, zip(*(_seconds_of(one[2]) for one in self._latencies), strict=True))
        return {
            "jobs": len(total),
            "mean": {name: round(seconds / len(total), 6) for name, seconds in zip(PHASES, sums, strict=False)},
            "phases": [_quantiles(name, values) for name, values in (("queue", queue), ("run", run), ("total", total))],
            "recent_total_s": [round(seconds, 6) for seconds in total[-RECENT_MAX:]],
            "answered_by_second": self._seconds.back(_ANSWERED, max(WINDOWS_S), now_s),
        }


_seconds_of: Final[Callable[[Phases], tuple[float, ...]]] = attrgetter(*PHASES)


def _quantiles(phase: str, values: list[float]) -> dict[str, Any]:
    """Nearest rank: each is a value that was seen."""
    ordered = sorted(values)
    last = len(ordered) - 1
    ranks = {f"p{percent}_s": min(last, math.ceil(percent / 100 * len(ordered)) - 1) for percent in _QUANTILES}
    row = {name: round(ordered[rank], 6) if ordered else 0.0 for name, rank in (*ranks.items(), ("max_s", last))}
    return {"phase": phase, **row}


def _error_word(reply: ResultReply) -> str:
    error = "" if reply.error is None else reply.error.type
    if reply.verdict in _REPORTED and error not in _BUILTIN_ERRORS and error not in _OWN_WORDS:
        return "other"  # the name of a class that the job may have made up is text of the job
    return error

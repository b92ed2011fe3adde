"""Load on a daemon: some callers, each of which sends its next job when it has the answer to the last."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from warmfork.cli.bench_stats import percentile
from warmfork.cli.bench_workloads import Workload
from warmfork.client import Client
from warmfork.results import PHASES, Result

_TURN_S: Final = 0.1
_REJECTED_PAUSE_S: Final = 0.5
_WRONG: Final = "wrong answer"


@dataclass(frozen=True, slots=True)
class Level:
    """What some callers saw.

    Attributes:
        callers: how many at the same time.
        seconds: from the first job sent to the last answer.
        taken_s: round trips of the jobs that ended as they should, in the order of their answers.
        outcomes: how many jobs by verdict; ``wrong answer`` are those that ended ``ok`` with another output.
        phases_s: of the jobs that ended as they should, seconds of each phase, where the daemon tells.
    """

    callers: int
    seconds: float
    taken_s: tuple[float, ...]
    outcomes: Mapping[str, int]
    phases_s: Mapping[str, tuple[float, ...]]

    @property
    def jobs_per_s(self) -> float:
        """Right answers a second."""
        return len(self.taken_s) / self.seconds


def levels_up_to(callers: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, the last one ``callers`` itself."""
    doubled = [1 << power for power in range(callers.bit_length())]
    return tuple(dict.fromkeys([*(count for count in doubled if count < callers), callers]))


def phases_of(result: Result) -> Mapping[str, float]:
    """Seconds by phase, in order, as the daemon reports them; empty from one that does not."""
    phases = result.usage.phases
    found = {name.removesuffix("_s"): float(getattr(phases, name)) for name in PHASES}
    return found if any(found.values()) else {}


def outcome_of(workload: Workload, result: Result) -> str:
    """The verdict, or that an ``ok`` job did not give what this code gives."""
    if not result.ok:
        return result.verdict
    right = workload.stdout in (None, result.stdout) and workload.charts == len(result.charts)
    return "ok" if right else _WRONG


@dataclass(frozen=True, slots=True)
class Answer:
    """One job's end, as its caller sees it.

    Attributes:
        outcome: ``ok``, or what else became of it.
        phases_s: seconds of each phase, where they are told.
        pause_s: how long the caller should wait before it sends another.
    """

    outcome: str
    phases_s: Mapping[str, float] = field(default_factory=dict)
    pause_s: float = 0.0


def ask(client: Client, workload: Workload) -> Answer:
    """Send one job of this workload to a daemon. Raises WarmforkError as ``Client.execute``."""
    result = client.execute(workload.code, formats=workload.formats or ("png",))
    outcome = outcome_of(workload, result)
    pause_s = min(result.retry_after_s or _REJECTED_PAUSE_S, _REJECTED_PAUSE_S) if outcome == "rejected" else 0.0
    return Answer(outcome, phases_of(result), pause_s)


class Load:
    """One level of load: ``run`` it once.

    Args:
        call: sends one job and waits for its end; called by all callers at the same time.
        callers: how many at the same time.
        seconds: for how long new jobs are sent; each caller sends one in any case.
    """

    def __init__(self, call: Callable[[], Answer], callers: int, seconds: float) -> None:
        self._send = call
        self._callers = callers
        self._seconds = seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._taken_s: list[float] = []
        self._outcomes: Counter[str] = Counter()
        self._phases_s: dict[str, list[float]] = {}
        self._problems: list[BaseException] = []
        self._last_s = 0.0

    def run(self, on_progress: Callable[[float], None] = lambda _seconds: None) -> Level:
        """Send jobs until the time is over, wait for the answers to those under way, and tell.

        Args:
            on_progress: called some ten times a second with the seconds since the start, in this thread.

        Raises:
            Exception: what ``call`` raised; the first caller that meets one ends them all.
        """
        started_s = time.perf_counter()
        due_s = started_s + self._seconds
        threads = [threading.Thread(target=self._call_until, args=(due_s,), daemon=True) for _ in range(self._callers)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive() and not self._stop.is_set():
                    on_progress(time.perf_counter() - started_s)
                    thread.join(_TURN_S)
        finally:
            self._stop.set()  # Ctrl-C in between: no caller sends another job
        for thread in threads:
            thread.join()
        if self._problems:
            raise self._problems[0]
        return Level(
            self._callers,
            self._last_s - started_s,
            tuple(self._taken_s),
            dict(self._outcomes),
            {name: tuple(values) for name, values in self._phases_s.items()},
        )

    def _call_until(self, due_s: float) -> None:
        try:
            while not self._stop.is_set():
                self._call()
                if time.perf_counter() >= due_s:  # only now: in however short a time, one job is sent
                    return
        except BaseException as problem:  # raised again in the thread that waits
            with self._lock:
                self._problems.append(problem)
            self._stop.set()

    def _call(self) -> None:
        started_s = time.perf_counter()
        answer = self._send()
        ended_s = time.perf_counter()
        with self._lock:
            self._last_s = max(self._last_s, ended_s)
            self._outcomes[answer.outcome] += 1
            if answer.outcome == "ok":
                self._taken_s.append(ended_s - started_s)
                for name, seconds in answer.phases_s.items():
                    self._phases_s.setdefault(name, []).append(seconds)
        if answer.pause_s:
            self._stop.wait(answer.pause_s)


def phase_medians_s(levels: Sequence[Level]) -> dict[str, float]:
    """Median seconds of each phase with the fewest callers, where nothing waits for another job."""
    if not levels:
        return {}
    return {name: percentile(sorted(values), 0.5) for name, values in levels[0].phases_s.items() if values}

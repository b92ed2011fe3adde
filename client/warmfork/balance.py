"""Which of several daemons gets a call, and the next one where it was turned away. Pure: the clock is given; no sockets here.

A call goes to the daemon with the fewest calls of ours in flight, by turns where that is the same. One that did not answer or
took nothing in is asked last for a while. A job goes on to the next daemon only where it certainly did not run:

    no daemon answered there              nothing was submitted
    rejected, and lost with retry_safe    did not run

Any other answer is the answer. Where each daemon has turned the job away that is one attempt of the call, and ``retries`` and
``retry_for_s`` count those.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping, Set
from types import TracebackType
from typing import Final, Self

from warmfork.at_fork import renew_after_fork
from warmfork.errors import DaemonUnreachable, KeyUnavailable, WarmforkError
from warmfork.exchange import check_seconds, new_id
from warmfork.results import Result
from warmfork.retrying import Pauses
from warmfork.streaming import ExecuteArguments

_AVOIDED_S_MIN: Final = 0.5
_AVOIDED_S_MAX: Final = 8.0
_TRIAL_S: Final = 1.0
_FULL: Final = frozenset({"QueueFull", "QueueWait", "MachineMemory"})
"""Rejections that other calls would get, too; the others are of one deadline, or one template."""

log = logging.getLogger("warmfork.client")


class Balance:
    """How busy the daemons are with calls of this process, and which are avoided. May be used by any number of threads.

    A forked child counts anew: its parent's calls are not its own.

    Args:
        count: of the daemons, from 1; they are known by their index.
        first: which has the first turn; drawn without it, so that programs that make one call each do not all begin with one.

    Attributes:
        count: as given.
    """

    def __init__(self, count: int, first: int | None = None) -> None:
        self.count = count
        self._turn = random.randrange(count) if first is None else first
        self._start_afresh()
        renew_after_fork(self, Balance._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = [0] * self.count
        self._avoided_until_s = [0.0] * self.count
        self._failures = [0] * self.count
        self._failed_s = [-math.inf] * self.count

    @property
    def in_flight(self) -> list[int]:
        """Calls in flight, by daemon."""
        with self._lock:
            return list(self._in_flight)

    def take(self, tried: Set[int], now_s: float) -> int | None:
        """The daemon for a call, which is in flight there from now on; None where each has been tried."""
        with self._lock:
            untried = [index for index in range(self.count) if index not in tried]
            if not untried:
                return None
            chosen = min(untried, key=lambda index: self._rank(index, now_s))
            self._turn = (chosen + 1) % self.count
            self._in_flight[chosen] += 1
            if self._failures[chosen]:
                # One call finds out whether it is back, and another a little later; the rest do not wait for that.
                self._avoided_until_s[chosen] = max(self._avoided_until_s[chosen], now_s + _TRIAL_S)
            return chosen

    def _rank(self, index: int, now_s: float) -> tuple[bool, int, int]:
        turns_until = (index - self._turn) % self.count
        return self._avoided_until_s[index] > now_s, self._in_flight[index], turns_until

    def give_back(self, index: int) -> None:
        """A call has ended there."""
        with self._lock:
            self._in_flight[index] -= 1

    def answered(self, index: int) -> None:
        """It is there."""
        with self._lock:
            if self._failures[index]:
                self._failures[index] = 0
                self._avoided_until_s[index] = 0.0

    def failed(self, index: int, taken_s: float, now_s: float) -> bool:
        """It is not there, or not able to work: it is avoided, for longer each time.

        Args:
            index: of the daemon.
            taken_s: when the call was given to it.
            now_s: by the monotonic clock.

        Returns:
            False for a call that was under way when it failed another: both met the same failure.
        """
        with self._lock:
            if taken_s < self._failed_s[index]:
                return False
            self._failed_s[index] = now_s
            for_s = min(_AVOIDED_S_MAX, _AVOIDED_S_MIN * 2.0 ** min(self._failures[index], 30))
            self._failures[index] += 1
            self._avoided_until_s[index] = now_s + for_s
            return True

    def is_full(self, index: int, now_s: float, for_s: float) -> None:
        """It takes nothing in for this time, by what it says; others' jobs may end before, so not for ever."""
        with self._lock:
            self._failures[index] = 0
            self._avoided_until_s[index] = now_s + min(for_s, _AVOIDED_S_MAX)


class BalancedCall:
    """One call among the daemons; what it holds it gives back at the end of its ``with`` block.

    Args:
        balance: of the client.
        arguments: as given to ``execute``.
        clock: seconds, monotonic.

    Raises:
        ValueError, TypeError: a time or number of retries is none.
    """

    def __init__(self, balance: Balance, arguments: ExecuteArguments, clock: Callable[[], float]) -> None:
        self._balance = balance
        self._clock = clock
        self._started_s = clock()
        self._deadline_s = arguments.get("deadline_s")
        if self._deadline_s is not None:
            check_seconds("deadline_s", self._deadline_s)
        self._pauses = Pauses(arguments.get("retries"), arguments.get("retry_for_s"), self._deadline_s, self._started_s)
        # One id for all daemons: whoever cancels the job need not know where it is.
        self._arguments = arguments.copy()
        if arguments.get("job_id") is None:
            self._arguments["job_id"] = new_id().hex()
        self._arguments["retries"] = None
        self._arguments["retry_for_s"] = None
        self._at: int | None = None
        self._taken_s = self._started_s
        self._tried: set[int] = set()
        self._turned_away: list[Result] = []
        self._unusable: dict[int, WarmforkError] = {}

    def next_daemon(self) -> int | None:
        """The daemon to offer the job to: in flight there until the next is asked for, or the end.

        None where each was asked, or the deadline has passed since the first was.
        """
        self._leave()
        if self._tried and self._deadline_s is not None and self._clock() >= self._started_s + self._deadline_s:
            return None  # the answer that there is says that it did not run; a daemon that is idle would begin it
        self._taken_s = self._clock()
        self._at = self._balance.take(self._tried, self._taken_s)
        if self._at is not None:
            self._tried.add(self._at)
        return self._at

    def _leave(self) -> None:
        if self._at is not None:
            self._balance.give_back(self._at)
            self._at = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def arguments(self) -> ExecuteArguments:
        """For ``execute`` of the next daemon: one attempt, in what is left of the deadline."""
        if self._deadline_s is not None:
            self._arguments["deadline_s"] = self._pauses.left_s(self._clock())
        return self._arguments

    def is_answered(self, result: Result) -> bool:
        """Whether this, of the daemon asked last, is the call's result; False where the next one may be asked."""
        assert self._at is not None
        if result.verdict == "lost":
            self._balance.failed(self._at, self._taken_s, self._clock())
        else:
            self._balance.answered(self._at)
        if not result.retry_safe:
            return True
        if result.retry_after_s is not None and result.error is not None and result.error.type in _FULL:
            self._balance.is_full(self._at, self._clock(), result.retry_after_s)
        self._turned_away.append(result)
        return False

    def submitted_nothing(self, problem: WarmforkError) -> None:
        """The daemon asked last did not answer, or cannot be used from here."""
        assert self._at is not None
        is_news = self._balance.failed(self._at, self._taken_s, self._clock())
        self._unusable[self._at] = problem
        if is_news and isinstance(problem, KeyUnavailable):
            # Somebody has to mend it, and where others answer nobody would see it.
            log.warning("daemon %d of %d is left out: %s", self._at + 1, self._balance.count, problem)

    def went_unanswered(self) -> None:
        """The daemon asked last has the job, perhaps, and no reply came: the error goes to the caller."""
        assert self._at is not None
        self._balance.failed(self._at, self._taken_s, self._clock())

    def next_round(self) -> float | None:
        """Seconds to wait before all are asked again, None where this was the last attempt."""
        soonest_s = min(map(_wait_s, self._turned_away), default=math.inf)
        pause_s = self._pauses.next(self._clock(), 0.0 if soonest_s == math.inf else soonest_s)
        if pause_s is not None:
            self._tried.clear()
            self._turned_away.clear()
            self._unusable.clear()
        return pause_s

    def outcome(self) -> Result:
        """What the daemons said, none of which took the job: of the one that may take it soonest.

        Raises:
            DaemonUnreachable: none answered.
        """
        if not self._turned_away:
            listed = by_number(self._unusable)
            raise DaemonUnreachable(
                f"none of {len(self._unusable)} daemons could be reached; nothing was submitted: {listed}"
            )
        return min(self._turned_away, key=_wait_s)


def _wait_s(result: Result) -> float:
    """After which time its daemon may take the job; one that is leaving does not say."""
    return math.inf if result.retry_after_s is None else result.retry_after_s


def by_number(problems: Mapping[int, WarmforkError]) -> str:
    """What was wrong with each daemon, by its place in the list, from 1."""
    return "\n".join(f"{index + 1}. {problem}" for index, problem in sorted(problems.items()))

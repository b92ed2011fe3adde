"""Which of several daemons gets a call, and the next one where it was turned away. Pure: the clock is given; no sockets here.

A call goes to the daemon with the fewest calls of ours in flight, by turns where that is the same. One that did not answer or
took nothing in is asked last for a while. A job goes on to the next daemon only where it certainly did not run:

    no daemon answered there              nothing was submitted
    rejected, and lost with retry_safe    did not run

Any other answer is the answer. Where each daemon has turned the job away that is one attempt of the call, and ``retries`` and
``retry_for_s`` count those.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Mapping, Set
from types import TracebackType
from typing import Final, Self

from warmfork.errors import DaemonUnreachable
from warmfork.exchange import check_seconds, new_id
from warmfork.results import Result
from warmfork.retrying import Pauses
from warmfork.streaming import ExecuteArguments

_AVOIDED_S_MIN: Final = 0.5
_AVOIDED_S_MAX: Final = 8.0


class Balance:
    """How busy the daemons are with calls of this process, and which are avoided. May be used by any number of threads.

    Args:
        count: of the daemons, from 1; they are known by their index.
        first: which has the first turn; drawn without it, so that programs that make one call each do not all begin with one.
    """

    def __init__(self, count: int, first: int | None = None) -> None:
        self._lock = threading.Lock()
        self._in_flight = [0] * count
        self._avoided_until_s = [0.0] * count
        self._failures = [0] * count
        self._turn = random.randrange(count) if first is None else first

    @property
    def in_flight(self) -> list[int]:
        """Calls in flight, by daemon."""
        with self._lock:
            return list(self._in_flight)

    def take(self, tried: Set[int], now_s: float) -> int | None:
        """The daemon for a call, which is in flight there from now on; None where each has been tried."""
        with self._lock:
            count = len(self._in_flight)
            open_ = [index for index in range(count) if index not in tried]
            if not open_:
                return None
            chosen = min(
                open_,
                key=lambda index: (
                    self._avoided_until_s[index] > now_s,
                    self._in_flight[index],
                    (index - self._turn) % count,
                ),
            )
            self._turn = (chosen + 1) % count
            self._in_flight[chosen] += 1
            if self._failures[chosen]:
                # One call finds out whether it is back; others do not wait for that.
                self._avoid(chosen, now_s)
            return chosen

    def give_back(self, index: int) -> None:
        """A call has ended there."""
        with self._lock:
            self._in_flight[index] -= 1

    def served(self, index: int) -> None:
        """It took the job."""
        with self._lock:
            self._failures[index] = 0
            self._avoided_until_s[index] = 0.0

    def turned_away(self, index: int, now_s: float, for_s: float | None = None) -> None:
        """It did not take the job.

        Args:
            index: of the daemon.
            now_s: by the monotonic clock.
            for_s: for how long, where it says so. Otherwise for longer each time.
        """
        with self._lock:
            if for_s is None:
                self._failures[index] += 1
                self._avoid(index, now_s)
            else:
                self._avoided_until_s[index] = now_s + min(for_s, _AVOIDED_S_MAX)

    def _avoid(self, index: int, now_s: float) -> None:
        for_s = min(_AVOIDED_S_MAX, _AVOIDED_S_MIN * 2.0 ** min(self._failures[index], 30))
        self._avoided_until_s[index] = now_s + for_s


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
        self._deadline_s = arguments.get("deadline_s")
        if self._deadline_s is not None:
            check_seconds("deadline_s", self._deadline_s)
        self._pauses = Pauses(arguments.get("retries"), arguments.get("retry_for_s"), self._deadline_s, clock())
        # One id for all daemons: whoever cancels the job need not know where it is.
        self._arguments = arguments.copy()
        self._arguments["job_id"] = arguments.get("job_id") or new_id().hex()
        self._arguments["retries"] = None
        self._arguments["retry_for_s"] = None
        self._at: int | None = None
        self._tried: set[int] = set()
        self._turned_away: list[Result] = []
        self._silent: dict[int, DaemonUnreachable] = {}

    def next_daemon(self) -> int | None:
        """The daemon to offer the job to: in flight there until the next is asked for, or the end. None: each was asked."""
        self._leave()
        self._at = self._balance.take(self._tried, self._clock())
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
            self._balance.turned_away(self._at, self._clock())
        elif not result.retry_safe:
            self._balance.served(self._at)
        else:
            self._balance.turned_away(self._at, self._clock(), result.retry_after_s)
        if not result.retry_safe:
            return True
        self._turned_away.append(result)
        return False

    def found_nobody(self, problem: DaemonUnreachable) -> None:
        """The daemon asked last did not answer; nothing was submitted."""
        assert self._at is not None
        self._balance.turned_away(self._at, self._clock())
        self._silent[self._at] = problem

    def next_round(self) -> float | None:
        """Seconds to wait before all are asked again, None where this was the last attempt."""
        soonest_s = min(map(_wait_s, self._turned_away), default=math.inf)
        pause_s = self._pauses.next(self._clock(), 0.0 if soonest_s == math.inf else soonest_s)
        if pause_s is not None:
            self._tried.clear()
            self._turned_away.clear()
            self._silent.clear()
        return pause_s

    def outcome(self) -> Result:
        """What the daemons said, none of which took the job: of the one that may take it soonest.

        Raises:
            DaemonUnreachable: none answered.
        """
        if not self._turned_away:
            raise nobody_answered(self._silent)
        return min(self._turned_away, key=_wait_s)


def _wait_s(result: Result) -> float:
    """After which time its daemon may take the job; one that is leaving does not say."""
    return math.inf if result.retry_after_s is None else result.retry_after_s


def nobody_answered(problems: Mapping[int, DaemonUnreachable]) -> DaemonUnreachable:
    """The error of a call for which no daemon was there."""
    listed = "\n".join(f"{index + 1}. {problem}" for index, problem in sorted(problems.items()))
    return DaemonUnreachable(f"none of {len(problems)} daemons answered; nothing was submitted:\n{listed}")

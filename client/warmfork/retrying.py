"""When a call is worth another attempt, and when. Pure: the clock and chance are given; no sockets here.

What may be tried again is what certainly did not run, or what the daemon can tell from what did:

    rejected, and lost with retry_safe    did not run: again after retry_after_s, as often as the caller allows
    no daemon answered                    nothing was submitted: likewise
    the connection ended before the reply it may have run: the same job id goes to the same daemon, which knows what became
                                          of it. Once at once, whatever the caller allows; then as often as that

The same daemon is told by the ``instance`` of its hello. From another one, a restarted one too, nothing is to be learned
about the job, and it is never run a second time for that: the call ends as ``lost``, with ``retry_safe`` False.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from warmfork.exchange import lost_result
from warmfork.results import Result
from warmfork.wire.requests import ExecuteRequest

_PAUSE_S_MIN: Final = 0.1
_PAUSE_S_MAX: Final = 10.0
_DEADLINE_S_MIN: Final = 0.001

assert 0 < _PAUSE_S_MIN <= _PAUSE_S_MAX


class Pauses:
    """How long to wait before each further attempt, and when there is none.

    Args:
        retries, retry_for_s, now_s, draw: as for ``Attempts``.
        deadline_s: seconds from now in which all of it must lie; None: no bound.

    Raises:
        ValueError: ``retries`` or ``retry_for_s`` is none.
    """

    def __init__(
        self,
        retries: int | None,
        retry_for_s: float | None,
        deadline_s: float | None,
        now_s: float,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if retries is not None and (type(retries) is not int or retries < 0):
            raise ValueError(f"retries is {retries!r}; give a whole number from 0")
        if retry_for_s is not None and not 0 <= retry_for_s < math.inf:
            raise ValueError(f"retry_for_s is {retry_for_s!r}; give seconds from 0")
        unlimited = math.inf if retry_for_s is not None else 0
        self._left: float = unlimited if retries is None else retries
        whole_s = math.inf if deadline_s is None else deadline_s
        self._deadline_s = now_s + whole_s
        self._until_s = now_s + min(whole_s, math.inf if retry_for_s is None else retry_for_s)
        self._draw = draw
        self._made = 0

    def left_s(self, now_s: float) -> float:
        """What is left of the deadline, never so little that it is none."""
        return max(_DEADLINE_S_MIN, self._deadline_s - now_s)

    def next(self, now_s: float, least_s: float) -> float | None:
        """Seconds to pause before the next attempt, None where there is to be none.

        Args:
            now_s: by the monotonic clock.
            least_s: what the daemon asked for.
        """
        if self._left < 1:
            return None
        spread_s: float = min(_PAUSE_S_MAX, _PAUSE_S_MIN * 2.0 ** min(self._made, 30))
        # Never before what was asked for, and those who were turned away together do not come back together.
        pause_s = least_s + max(spread_s, least_s / 2) * (0.5 + self._draw() / 2)
        if now_s + pause_s >= self._until_s:
            return None
        self._left -= 1
        self._made += 1
        return pause_s


class Attempts:
    """The attempts of one call.

    Args:
        request: of the call.
        retries: how many further attempts there may be; None: any number within ``retry_for_s``, none without it.
        retry_for_s: seconds from now in which an attempt may begin; None: no bound but the request's deadline.
        now_s: by the monotonic clock.
        draw: a number from 0 to 1, another each time.

    Attributes:
        resending: the job was submitted on a connection that has ended, and what became of it is not known.

    Raises:
        ValueError: ``retries`` or ``retry_for_s`` is none.
    """

    def __init__(
        self,
        request: ExecuteRequest,
        retries: int | None,
        retry_for_s: float | None,
        now_s: float,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._request = request
        self._pauses = Pauses(retries, retry_for_s, request.deadline_s, now_s, draw)
        self._begun_s = now_s
        self._sent_s = now_s
        self._instance = ""
        self._resent = False
        self.resending = False

    def begin(self, now_s: float) -> ExecuteRequest:
        """The request of the next attempt."""
        self._begun_s = now_s
        request = self._request
        if request.deadline_s is not None:
            request = replace(request, deadline_s=self._pauses.left_s(now_s))
        if self.resending:
            request = replace(request, resend=self._instance, sent_s_ago=now_s - self._sent_s)
        return request

    def sent(self, instance: str) -> None:
        """The request goes to the daemon of this instance, empty from one that knows no resends."""
        if not self.resending:
            self._sent_s = self._begun_s
            self._instance = instance

    def knows_us(self, instance: str) -> bool:
        """True for a daemon that can tell what became of the job that was sent."""
        return bool(instance) and instance == self._instance

    def after(self, result: Result | None, now_s: float) -> float | None:
        """Seconds to pause before the next attempt, None where this was the last.

        Args:
            result: the answer; None where the connection ended before it.
            now_s: by the monotonic clock.
        """
        if result is None:
            return self._after_loss(now_s)
        self.resending = False
        if not result.retry_safe:
            return None
        return self._pauses.next(now_s, result.retry_after_s or 0.0)

    def after_silence(self, now_s: float) -> float | None:
        """The same for when no daemon answered."""
        return self._pauses.next(now_s, 0.0)

    def _after_loss(self, now_s: float) -> float | None:
        if not self._instance:
            return None
        self.resending = True
        if not self._resent:
            self._resent = True
            return 0.0
        return self._pauses.next(now_s, 0.0)

    def lost(self) -> Result:
        """The answer when what became of the job cannot be learned."""
        return lost_result(self._request.id)

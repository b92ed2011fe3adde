"""How long a job will wait: from how long jobs ran of late, and how many go before it. Pure.

A guess, and used as one: to tell a client when to come again, and to refuse at once a job whose deadline would pass before
its turn. Nothing is refused before enough jobs have run to guess by.
"""

from __future__ import annotations

from typing import Final

_WEIGHT: Final = 1 / 16
_SEEN_MIN: Final = 8
_RUN_S_UNKNOWN: Final = 1.0

RETRY_AFTER_S_MIN: Final = 0.1
RETRY_AFTER_S_MAX: Final = 60.0

assert 0 < _WEIGHT <= 1 / _SEEN_MIN


class RunTimes:
    """The mean run time of late: each job counts a sixteenth, those before it the rest."""

    __slots__ = ("_mean_s", "_seen")

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._seen = 0

    def add(self, run_s: float) -> None:
        """A job has run for so long."""
        self._seen += 1
        # The first ones count alike, so that the very first is not half of what is believed for long.
        self._mean_s += max(1 / self._seen, _WEIGHT) * (run_s - self._mean_s)

    @property
    def known(self) -> bool:
        """Enough jobs have run to refuse another by it."""
        return self._seen >= _SEEN_MIN

    @property
    def mean_s(self) -> float:
        """Of a job; 1 s while none has run."""
        return self._mean_s if self._seen else _RUN_S_UNKNOWN


def wait_s(ahead: int, running: int, running_max: int, run_s: float) -> float:
    """Seconds until a job is dispatched.

    Args:
        ahead: jobs that go before it.
        running, running_max: jobs that run, and that may at the same time.
        run_s: mean run time.
    """
    # With n jobs running, one of them ends every run_s / n; each end lets one in.
    ends = max(0, ahead + 1 - max(0, running_max - running))
    return ends * run_s / running_max


def retry_after_s(ahead: int, running_max: int, run_s: float) -> float:
    """When a job that was not taken should come again, from 0.1 to 60 s: when those before it will have had their turn."""
    return min(RETRY_AFTER_S_MAX, max(RETRY_AFTER_S_MIN, wait_s(ahead, running_max, running_max, run_s)))

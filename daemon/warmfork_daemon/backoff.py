"""Pauses between attempts that fail again and again."""

from __future__ import annotations

from typing import Final

_DOUBLINGS_MAX: Final = 20  # beyond it a float would not tell them apart from forever either


class Backoff:
    """Twice as long after each failure, up to a bound.

    Args:
        first_s: half of the pause after the first failure.
        most_s: no pause is longer.

    Attributes:
        failures: in a row.
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self.failures = 0

    def next_s(self) -> float:
        """It failed once more: the pause before the next attempt."""
        self.failures += 1
        return min(self._first_s * 2.0 ** min(self.failures, _DOUBLINGS_MAX), self._most_s)

    def reset(self) -> None:
        """It went well."""
        self.failures = 0

"""How many workers are to wait: more while jobs find none, fewer again when that has not happened for a while. Pure."""

from __future__ import annotations

from typing import Final

GROW_AGAIN_S: Final = 0.02
"""A burst finds nobody many times within the fork of one worker; it says so once."""

SHRINK_S: Final = 30.0


class Demand:
    """The wanted number, from ``least`` to ``most``.

    Attributes:
        wanted: the number.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least = self.wanted = least
        self._most = max(least, most)
        self._changed_s = 0.0

    def configure(self, least: int, most: int) -> None:
        """Stay within other bounds from now on."""
        self._least, self._most = least, max(least, most)
        self.wanted = min(max(self.wanted, self._least), self._most)

    def found_nobody(self, now_s: float) -> None:
        """A job had to wait for a fork."""
        if now_s - self._changed_s >= GROW_AGAIN_S:
            self.wanted = min(self.wanted + 1, self._most)
            self._changed_s = now_s

    def look(self, now_s: float) -> None:
        """Let the number go back by one where nothing was short for ``SHRINK_S``."""
        if self.wanted > self._least and now_s - self._changed_s >= SHRINK_S:
            self.wanted -= 1
            self._changed_s = now_s

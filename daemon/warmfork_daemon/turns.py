"""Whose turn it is: weighted round robin among those who wait. Pure: no clock, no jobs, only names and numbers.

Theory. Everyone who waits has a *pass*. The lowest pass is next, and each turn moves the pass of whoever had it on by one
stride, the inverse of the weight: over any stretch in which two wait all the time, their turns stand as their weights.
``now`` is the pass of the latest turn. It is what newcomers are measured by:

    enters          pass = now + stride, before everyone of the same pass who has had a turn already
    has a turn      now = max(now, pass), pass = now + stride
    turn undone     before everyone, whatever their pass
    leaves          forgotten

So a newcomer waits for no second turn of anybody, and whoever leaves and comes back at once has gained nothing: the pass
it gets is the one it would have had. That is why nothing needs to be remembered about those who do not wait, and names
that a client makes up cost nothing. Whoever could not be served for a while (its template was down) has saved up nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

_FRESH: Final = 0
_SERVED: Final = 1


class Turns(Generic[Name]):
    """The order in which names take turns."""

    __slots__ = ("_count", "_now", "_places", "_strides")

    def __init__(self) -> None:
        self._now = 0.0
        self._count = 0
        # name -> (pass, rank among equal ones, order of coming); compared as a whole, and no two are equal.
        self._places: dict[Name, tuple[float, int, int]] = {}
        self._strides: dict[Name, float] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def enter(self, name: Name, weight: float = 1.0) -> None:
        """Let a name wait; nothing happens when it does already."""
        if name not in self._places:
            self._strides[name] = 1.0 / weight
            self._places[name] = (self._now + self._strides[name], _FRESH, self._next())

    def reweigh(self, name: Name, weight: float) -> None:
        """Give a name that waits another weight, from its turn after the next on; its place stays."""
        if name in self._places:
            self._strides[name] = 1.0 / weight

    def leave(self, name: Name) -> None:
        """Forget a name; nothing happens when it does not wait."""
        self._places.pop(name, None)
        self._strides.pop(name, None)

    def charge(self, name: Name) -> None:
        """This name, which waits, has had a turn."""
        self._now = max(self._now, self._places[name][0])
        self._places[name] = (self._now + self._strides[name], _SERVED, self._next())

    def undo(self, name: Name) -> None:
        """The latest turn of this name, which waits, did not count: it is next."""
        self._places[name] = (-math.inf, _FRESH, -self._next())

    def first(self, names: Iterable[Name]) -> Name | None:
        """Whose turn it is among those of these names that wait; None where none does."""
        return min((name for name in names if name in self._places), key=self._places.__getitem__, default=None)

    def _next(self) -> int:
        self._count += 1
        return self._count

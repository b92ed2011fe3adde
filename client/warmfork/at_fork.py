"""What must be made anew in a forked child, before anything else runs there: locks, which a thread that it has not may hold."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

_Owner = TypeVar("_Owner")
_known: Final[weakref.WeakKeyDictionary[Any, Callable[[Any], None]]] = weakref.WeakKeyDictionary()


def renew_after_fork(owner: _Owner, renew: Callable[[_Owner], None]) -> None:
    """Call ``renew(owner)`` in each forked child, while that has one thread, for as long as the owner lives.

    Args:
        owner: hashable.
        renew: no method bound to the owner, which would keep it alive; must not raise.
    """
    _known[owner] = renew


def _after_fork() -> None:
    for owner, renew in list(_known.items()):
        renew(owner)


os.register_at_fork(after_in_child=_after_fork)

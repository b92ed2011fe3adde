"""What every fork of a template of one thread does for nothing, taken away once.

The hooks that ``threading``, ``logging`` and ``random`` register reset locks that another thread may hold in a process
with several, and reseed ``random``. A template has one thread, and workers reseed by themselves (``randomness``). Each
function that a worker runs costs it copies of the pages that it touches: these, 190 of some 700.
"""

from __future__ import annotations

import gc
import logging
import random
import threading
from typing import Any, Final

_LOGGING_LOCKS: Final = (("_acquireLock", "_releaseLock"), ("_prepareFork", "_afterFork"))
"""Before a fork and after it in the parent, as Python 3.11 and 3.12, or 3.13 and 3.14, call them."""


def drop_needless_hooks() -> tuple[str, ...]:
    """Unregister them; the names of those that were found. Where an interpreter keeps them elsewhere, they stay.

    Python has no way to unregister one, but its lists are objects of the garbage collector like others. Frozen ones
    (``gc.freeze``) are not looked at.
    """
    dropped: list[str] = []
    in_child = _hooks_with(_of(threading, "_after_fork"))
    for hook in (_of(threading, "_after_fork"), _of(_of(random, "_inst"), "seed")):
        if in_child is not None and hook in in_child:
            in_child.remove(hook)
            dropped.append(hook.__qualname__)
    for before, in_parent in _LOGGING_LOCKS:
        takes, gives, anew = (
            _of(logging, before),
            _of(logging, in_parent),
            _of(logging, "_after_at_fork_child_reinit_locks"),
        )
        taking, giving = _hooks_with(takes), _hooks_with(gives)
        # All three or none: what takes the lock must not stay without what gives it back.
        if taking is not None and giving is not None and in_child is not None and anew in in_child:
            for hooks, hook in ((taking, takes), (giving, gives), (in_child, anew)):
                hooks.remove(hook)
                dropped.append(hook.__qualname__)
    return tuple(dropped)


def _of(owner: Any, name: str) -> Any:
    return getattr(owner, name, None)


def _hooks_with(hook: Any) -> list[Any] | None:
    """The one list of functions that this one is in."""
    if hook is None:
        return None
    lists = [item for item in gc.get_referrers(hook) if type(item) is list and all(map(callable, item))]
    return lists[0] if len(lists) == 1 else None

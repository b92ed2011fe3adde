"""The replacements for what no worker is given do what the originals do, as far as one process can tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import pytest

from warmfork_worker.adaptations import ThreadSemaphore

RECURSIVE, SEMAPHORE = 0, 1
Steps = list[Callable[[Any], object]]


def acquire(lock: Any) -> object:
    return lock.acquire(False)


def acquire_soon(lock: Any) -> object:
    return lock.acquire(True, 0.01)


def release(lock: Any) -> object:
    return lock.release()


def elsewhere(lock: Any) -> object:
    """Try to take it in another thread."""
    told: list[object] = []
    thread = threading.Thread(target=lambda: told.append(lock.acquire(True, 0.01)))
    thread.start()
    thread.join()
    return told


CASES: Final[list[tuple[int, int, int, Steps]]] = [
    (SEMAPHORE, 1, 1, [acquire, acquire, acquire_soon, elsewhere, release, elsewhere, release, release]),
    (SEMAPHORE, 3, 5, [acquire, acquire, acquire, acquire, release, release, release, release, release, release]),
    (SEMAPHORE, 0, 1, [acquire, release, acquire]),
    (RECURSIVE, 1, 1, [acquire, acquire, elsewhere, release, elsewhere, release, elsewhere, release]),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_same_as_the_original(case: int) -> None:
    """After each step both say the same: result or error, count, owner and value."""
    kind, value, maximum, steps = CASES[case]
    original = import_module("_multiprocessing").SemLock(kind, value, maximum, f"/warmfork-{id(steps)}-{case}", True)
    ours = ThreadSemaphore(kind, value, maximum)
    for number, step in enumerate(steps):
        assert _after(original, step) == _after(ours, step), f"step {number}, {step.__name__}"


def _after(lock: Any, step: Callable[[Any], object]) -> tuple[object, ...]:
    try:
        told = step(lock)
    except (AssertionError, ValueError) as problem:
        told = type(problem).__name__
    return told, lock._count(), lock._is_mine(), lock._get_value(), lock._is_zero(), lock.kind, lock.maxvalue

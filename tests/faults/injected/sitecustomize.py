"""Loaded by Python itself in the daemon and its templates: the two faults that cannot be made from outside.

Files beside this one (a copy in the run's directory) say what is wrong at the moment: ``clock`` holds seconds that the wall
clock is off by (the machine's own clock is everybody's), ``fork`` the errno that ``os.fork`` fails with (the superuser has
no limit of processes).
"""

from __future__ import annotations

import os
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
_time, _time_ns, _fork = time.time, time.time_ns, os.fork


def _said(name: str) -> float:
    try:
        with open(os.path.join(_HERE, name)) as told:
            return float(told.read() or 0)
    except (OSError, ValueError):
        return 0.0


def _jumping_time() -> float:
    return _time() + _said("clock")


def _jumping_time_ns() -> int:
    return _time_ns() + int(_said("clock")) * 1_000_000_000


def _failing_fork() -> int:
    number = int(_said("fork"))
    if number:
        raise OSError(number, os.strerror(number))
    return _fork()


time.time, time.time_ns, os.fork = _jumping_time, _jumping_time_ns, _failing_fork

"""What every measured system has in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from bench.suite.workloads import Workload

ROOT: Final = Path(__file__).resolve().parents[2]

OURS: Final = "warmfork"
"""As it is shipped: code that needs no library runs in light workers."""
LIGHT_OFF: Final = "warmfork, light off"
"""The same with ``pool.light`` off: every job runs in a worker of the template ``science``."""
ASYNCIO: Final = "warmfork, asyncio"
ECHO: Final = "echo"
RELAY: Final = "bare relay"
FLOOR: Final = "in process"


@dataclass(frozen=True, slots=True)
class Done:
    """One job, done.

    Attributes:
        seconds: what its caller waited; for the floor in process, what the code and its charts took.
        stdout: what it printed.
        charts: bytes of each chart.
        phases_s: seconds of each phase, from a system that tells.
    """

    seconds: float
    stdout: str = ""
    charts: tuple[bytes, ...] = ()
    phases_s: Mapping[str, float] = field(default_factory=dict)


class WrongAnswer(Exception):
    """A system did not give what the code gives: its times would mean nothing."""


class Unavailable(Exception):
    """A system that cannot be measured on this machine; the message says why."""


class System(Protocol):
    """Something that runs workloads.

    Attributes:
        name: as it stands in tables.
        callers_max: how many callers at the same time make sense; 1 for what does one thing after another.
        costly: a job takes the better part of a second, whatever it does: it gets fewer turns.
    """

    name: str
    callers_max: int
    costly: bool

    def start(self) -> None:
        """Make it warm. Raises Unavailable."""

    def call(self, workload: Workload) -> Done:
        """Run one job and wait for it; by any number of threads up to ``callers_max``."""
        ...

    def stop(self) -> None:
        """End it and its processes."""


def check(workload: Workload, done: Done, name: str) -> None:
    """Raise WrongAnswer unless the job printed and drew what it must."""
    if workload.stdout not in (None, done.stdout):
        raise WrongAnswer(f"{name}, {workload.letter}: printed {done.stdout!r}")
    if workload.charts != len(done.charts) or not all(done.charts):
        raise WrongAnswer(f"{name}, {workload.letter}: {len(done.charts)} charts")


def child_environment() -> dict[str, str]:
    """Of processes that need the checkout: this one's, where to find it, and what keeps their libraries from having threads."""
    paths = [str(ROOT), str(ROOT / "client"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "MPLBACKEND": "agg",
        # As in warmfork's templates: pyarrow, which pandas loads where it is installed, starts a thread without it.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }

"""The daemon keeps its word whatever is done to it: a few seeds here, any number by ``python -m tests.faults``."""

from __future__ import annotations

import pytest
from tests.faults.broken import BREAKS
from tests.faults.plan import FAULTS, draw
from tests.faults.run import run

SEEDS = (1, 2, 3, 4)
LOAD_S = 4.0

# How each break is told. What the daemon may not get over is told in more ways than one.
TOLD = {
    "drop": "have not ended",
    "twice": "2 replies",
    "foreign": "foreign output",
    "descriptor": "descriptors are open",
    "process": "are left",
    "memory": "memory grew",
    "file": "temporary",
    "crash": "ended by itself",
    "defect": "in the log",
    "lie": "safe to retry, it says",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds(seed: int) -> None:
    """Faults of every kind, drawn from the seed, under load: one honest reply for each job, and nothing leaks."""
    report = run(draw(seed, LOAD_S), say=print)
    assert not report.problems, "\n".join(report.problems)


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_alone(kind: str) -> None:
    """One kind of fault, three times within two seconds of load."""
    report = run(draw(7, 2.0, (kind,), 3), say=print)
    assert not report.problems, "\n".join(report.problems)


# A client's thread may end with the daemon that was broken under it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_promise_is_seen(how: str) -> None:
    """A daemon with one promise broken on purpose does not pass."""
    plan = draw(1, 2.0, ("template_kill",), 8) if how == "lie" else draw(1, 2.0, ())
    report = run(plan, module=("tests.faults.broken", how), say=print, patience_s=1.0)
    assert [problem for problem in report.problems if TOLD[how] in problem], report.problems


def test_a_seed_is_a_plan() -> None:
    """The same seed gives the same plan, another seed another."""
    assert draw(1, 5.0) == draw(1, 5.0)
    assert draw(1, 5.0) != draw(2, 5.0)

"""How much is measured: a full run, or a quick one that shows that everything works and proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run.

    Attributes:
        name: ``full`` or ``quick``.
        pause_s: before each paced call: what the last one left behind is over by then.
        rounds: by workload, how many rounds of paced calls at most.
        budget_s: by workload, when to begin no further round; a noisy machine gets fewer.
        slow_turns: by workload, every how many rounds the alternatives have a turn.
        costly_turns: by workload, every how many rounds those have one that cost near a second.
        callers: by workload under load, the levels for ours.
        few_callers: the levels for what cannot keep up: costly systems, and every alternative with charts.
        rival_callers: the levels for the other alternatives without charts.
        load_s: by workload under load, how long one level sends new jobs.
        repeats: of each level.
        limit_s: when to begin nothing more: what is left is listed as not measured.
        cpu_jobs: by workload, jobs for a CPU figure of a fast system; slower ones run a tenth, at least four.
    """

    name: str
    pause_s: float
    rounds: Mapping[str, int]
    budget_s: Mapping[str, float]
    slow_turns: Mapping[str, int]
    costly_turns: Mapping[str, int]
    callers: Mapping[str, tuple[int, ...]]
    few_callers: tuple[int, ...]
    rival_callers: tuple[int, ...]
    load_s: Mapping[str, float]
    repeats: int
    limit_s: float
    cpu_jobs: Mapping[str, int]

    @property
    def quick(self) -> bool:
        """True for the one that proves nothing."""
        return self.name == "quick"


def _map(**values: float) -> Mapping[str, float]:
    return MappingProxyType(values)


def _counts(**values: int) -> Mapping[str, int]:
    return MappingProxyType(values)


FULL: Final = Plan(
    name="full",
    pause_s=0.04,
    rounds=_counts(T=1_200, N=150, D=150, C=110, S=80, Z=80, P=60),
    budget_s=_map(T=240, N=50, D=50, C=160, S=160, Z=100, P=90),
    slow_turns=_counts(T=8, N=3, D=3, C=1, S=2, Z=2, P=2),
    costly_turns=_counts(T=100, N=25, D=25, C=11, S=16, Z=16, P=12),
    callers=MappingProxyType({"T": (1, 2, 4, 8, 16, 64), "C": (1, 2, 4, 8, 16, 64)}),
    few_callers=(1, 4),
    rival_callers=(1, 4, 16),
    load_s=_map(T=1.5, C=3.0),
    repeats=3,
    limit_s=1_140.0,
    cpu_jobs=_counts(T=400, C=30),
)

QUICK: Final = Plan(
    name="quick",
    pause_s=0.03,
    rounds=_counts(T=60, N=12, D=12, C=6, S=4, Z=4, P=4),
    budget_s=_map(T=15, N=4, D=4, C=10, S=10, Z=7, P=7),
    slow_turns=_counts(T=6, N=3, D=3, C=2, S=2, Z=2, P=2),
    costly_turns=_counts(T=60, N=12, D=12, C=6, S=4, Z=4, P=4),
    callers=MappingProxyType({"T": (1, 4, 64), "C": (1, 4)}),
    few_callers=(1, 4),
    rival_callers=(1, 4),
    load_s=_map(T=0.6, C=1.0),
    repeats=1,
    limit_s=140.0,
    cpu_jobs=_counts(T=100, C=8),
)

for _plan in (FULL, QUICK):
    assert set(_plan.rounds) == set(_plan.budget_s) == set(_plan.slow_turns) == set(_plan.costly_turns)
    assert set(_plan.load_s) == set(_plan.cpu_jobs) == set(_plan.callers) <= set(_plan.rounds)

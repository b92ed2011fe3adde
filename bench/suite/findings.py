"""What a run of the suite has found: plain data, written as JSON and read by targets, tables and plots."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from warmfork.cli.bench_load import Level

Samples = dict[str, list[float]]


@dataclass(slots=True)
class Findings:
    """Everything measured; times in seconds, sizes in bytes. It grows while the suite runs.

    Attributes:
        facts: the machine, the versions, how busy the machine was.
        paced: by workload and system, each paced call; samples at the same place are of the same round where two systems
            have the same number.
        load: by workload and system, one entry for each repeat of each number of callers.
        renders_per_s: by workload, runs a second of one in-process floor on each CPU at the same time, by repeat.
        forks: by name (``C program``, ``bare interpreter``, ``with libraries``…), as ``floors.forks``.
        fork_by_size: the rows that ``bench/fork_cost.py --json`` printed, None without them.
        cpu_s: by workload and system, CPU seconds of one job: ``job``, ``client``, and where known its parts.
        memory: by name of the process looked at.
        phases_s: by workload, median seconds of each phase of warmfork's paced calls.
        pixels: by workload, how warmfork's chart differs from the floor's.
        skipped: what was not measured, and why.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    paced: dict[str, Samples] = field(default_factory=dict)
    load: dict[str, dict[str, list[Level]]] = field(default_factory=dict)
    renders_per_s: dict[str, list[float]] = field(default_factory=dict)
    forks: dict[str, dict[str, Any]] = field(default_factory=dict)
    fork_by_size: list[dict[str, Any]] | None = None
    cpu_s: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    memory: dict[str, dict[str, int | None]] = field(default_factory=dict)
    phases_s: dict[str, dict[str, float]] = field(default_factory=dict)
    pixels: dict[str, dict[str, float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def levels(self, letter: str, system: str, callers: int) -> list[Level]:
        """All repeats of one number of callers; empty where it was not measured."""
        return [level for level in self.load.get(letter, {}).get(system, []) if level.callers == callers]

    def callers(self, letter: str, system: str) -> list[int]:
        """The numbers of callers that were measured, in order."""
        return sorted({level.callers for level in self.load.get(letter, {}).get(system, [])})

    @property
    def empty(self) -> bool:
        """Whether nothing has been measured yet."""
        return not (self.paced or self.load or self.forks or self.cpu_s or self.memory)

    def as_json(self) -> dict[str, Any]:
        """As plain nested data."""
        return {"format": 1, **dataclasses.asdict(self)}


def pooled(levels: list[Level]) -> list[float]:
    """The round trips of all repeats."""
    return [seconds for level in levels for seconds in level.taken_s]

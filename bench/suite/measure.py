"""Time and load: rounds of paced calls in which every system has its turn, and callers side by side."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from bench.suite.findings import Findings, Samples
from bench.suite.floors import FloorProcess
from bench.suite.plan import Plan
from bench.suite.systems import ECHO, FLOOR, LIGHT_OFF, OURS, RELAY, Done, System
from bench.suite.workloads import CHARTS, Workload

from warmfork.cli.bench_load import Answer, Level, Load
from warmfork.cli.bench_stats import median

Step = Callable[[str], bool]
LoadOf = Callable[[Workload, int, float], Level]

_WARM_UP_CALLS: Final = 4
_ROUNDS_MIN: Final = 3
REST: Final = "client and way"
"""What of a round trip is in no phase: packing, sending, verifying, and waking up on both sides."""


class Rounds:
    """Paced calls of one workload by several systems, in a new order in each round.

    Args:
        workload: what is run.
        systems: who runs it, started.
        turns: by name, every how many rounds a system has a turn; each without it.
        draw: where the orders come from.
    """

    def __init__(
        self, workload: Workload, systems: Sequence[System], turns: Mapping[str, int], draw: random.Random
    ) -> None:
        self._workload = workload
        self._systems = list(systems)
        self._turns = turns
        self._draw = draw
        self.samples: Samples = {system.name: [] for system in systems}
        self.phases: Samples = {}
        self.last: dict[str, Done] = {}
        self.failed: dict[str, str] = {}

    def run(self, rounds: int, budget_s: float, pause_s: float) -> None:
        """Warm up, then as many rounds as the budget lets, at least three; a system that fails once is left out."""
        for system in list(self._systems):
            for _ in range(1 if system.costly else _WARM_UP_CALLS):
                self._call(system)
        due_s = time.perf_counter() + budget_s
        for number in range(rounds):
            if number >= _ROUNDS_MIN and time.perf_counter() > due_s:
                return
            turn = [system for system in self._systems if not number % self._turns.get(system.name, 1)]
            self._draw.shuffle(turn)
            for system in turn:
                time.sleep(pause_s)
                done = self._call(system)
                if done is not None:
                    self.samples[system.name].append(done.seconds)
                    self._keep_phases(system, done)

    def _keep_phases(self, system: System, done: Done) -> None:
        if system.name == OURS:
            rest = {REST: done.seconds - sum(done.phases_s.values())} if done.phases_s else {}
            for name, seconds in {**done.phases_s, **rest}.items():
                self.phases.setdefault(name, []).append(seconds)

    def _call(self, system: System) -> Done | None:
        if system not in self._systems:
            return None
        try:
            done = system.call(self._workload)
        except Exception as problem:
            self._systems.remove(system)
            self.failed[system.name] = f"{type(problem).__name__}: {problem}"
            # Half a set of samples would be paired with rounds of which it has none.
            del self.samples[system.name]
            return None
        self.last[system.name] = done
        return done


def measure_paced(
    findings: Findings,
    plan: Plan,
    workload: Workload,
    systems: Sequence[System],
    draw: random.Random,
    same_pixels: Callable[[bytes, bytes], dict[str, float]],
) -> None:
    """Paced calls of one workload, its phases, and what its chart looks like beside the floor's."""
    letter = workload.letter
    turns = {
        system.name: plan.costly_turns[letter] if system.costly else plan.slow_turns[letter]
        for system in systems
        if system.name not in (OURS, FLOOR, RELAY, ECHO)
    }
    rounds = Rounds(workload, systems, turns, draw)
    rounds.run(plan.rounds[letter], plan.budget_s[letter], plan.pause_s)
    findings.paced[letter] = rounds.samples
    findings.phases_s[letter] = {name: median(values) for name, values in rounds.phases.items()}
    findings.skipped.update({f"{name}, {letter}": reason for name, reason in rounds.failed.items()})
    if letter in CHARTS and {OURS, FLOOR} <= set(rounds.last):
        ours, theirs = (rounds.last[name].charts[0] for name in (OURS, FLOOR))
        findings.pixels[letter] = same_pixels(ours, theirs)


def measure_load(
    findings: Findings,
    plan: Plan,
    workload: Workload,
    systems: Sequence[System],
    others: Mapping[str, LoadOf],
    draw: random.Random,
    step: Step,
) -> None:
    """Levels of load on each system, interleaved: within a repeat and a level, the systems in a new order.

    Args:
        others: further systems by name that make their load themselves.
        step: says what comes, and whether there is time for it.
    """
    letter = workload.letter
    found: dict[str, list[Level]] = findings.load.setdefault(letter, {})
    for repeat in range(plan.repeats):
        for callers in plan.callers[letter]:
            loads: dict[str, LoadOf] = {
                system.name: partial(_threads, system)
                for system in systems
                if _has_turn(plan, workload, system, callers, repeat)
            }
            loads.update(others)
            for name in draw.sample(sorted(loads), len(loads)):
                where = f"{name}, {letter} under load"
                if where in findings.skipped or not step(f"  {letter}, {callers} callers, {name}"):
                    continue
                try:
                    found.setdefault(name, []).append(loads[name](workload, callers, plan.load_s[letter]))
                except Exception as problem:
                    findings.skipped[where] = f"{callers} callers: {type(problem).__name__}: {problem}"


def _has_turn(plan: Plan, workload: Workload, system: System, callers: int, repeat: int) -> bool:
    if callers > system.callers_max:
        return False
    if system.costly:
        return callers in plan.few_callers and not repeat
    if system.name in (OURS, LIGHT_OFF):
        return True
    return callers in (plan.few_callers if workload.formats else plan.rival_callers)


def measure_renders(findings: Findings, plan: Plan, workload: Workload, cpus: int) -> None:
    """What these CPUs can draw: one in-process floor on each, all at the same time, nothing else running."""
    processes = [FloorProcess() for _ in range(cpus)]
    try:
        for process in processes:
            process.start()
            process.ask("run", workload.code, workload.formats)
        for _ in range(plan.repeats):
            for process in processes:
                process.send("burst", workload.code, workload.formats, plan.load_s[workload.letter])
            rate = sum(len(taken_s) / sum(taken_s) for taken_s in [process.receive() for process in processes])
            findings.renders_per_s.setdefault(workload.letter, []).append(rate)
    finally:
        for process in processes:
            process.stop()


def _threads(system: System, workload: Workload, callers: int, seconds: float) -> Level:
    def call() -> Answer:
        return Answer("ok", system.call(workload).phases_s)

    call()
    return Load(call, callers, seconds).run()

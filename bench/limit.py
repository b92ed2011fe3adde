"""The limits that stand in the way of targets, measured: ``python bench/limit.py [--rounds N] [--seconds S]``.

In one run, in turns: warmfork, light and not; a relay that does nothing but hand each job to a
process forked for it as cheaply as warmfork's (``bench.limit_relay``), with the libraries and without; the bare echo; the
code warm in one process. Printed: paced medians of T and D, jobs a second of T with four callers, and CPU of a T job.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from bench.limit_relay import LimitRelay
from bench.suite.floors import Echo, InProcess
from bench.suite.measure import Rounds
from bench.suite.ours import Warmfork
from bench.suite.resources import children_cpu_s, rest
from bench.suite.systems import LIGHT_OFF, OURS, System
from bench.suite.workloads import ALL

from warmfork.cli.bench_load import Answer, Load

CALLERS: Final = 4
PAUSE_S: Final = 0.04
BUDGET_S: Final = 60.0
CPU_JOBS: Final = 300


def paced(letter: str, systems: Sequence[System], rounds: int, draw: random.Random) -> None:
    """Print the median of each system's paced calls, and what it is to the last one's."""
    measured = Rounds(ALL[letter], systems, {}, draw)
    measured.run(rounds, BUDGET_S, PAUSE_S)
    medians = {name: 1000 * statistics.median(taken_s) for name, taken_s in measured.samples.items()}
    floor = medians[systems[-1].name]
    for name, median_ms in medians.items():
        print(f"{letter} paced p50   {name:34} {median_ms:7.2f} ms  {median_ms / floor:5.2f} x {systems[-1].name}")
    for name, problem in measured.failed.items():
        print(f"{letter} paced       {name:34} failed: {problem}")


def loaded(systems: Sequence[System], rounds: int, seconds: float, draw: random.Random) -> None:
    """Print jobs a second of T with four callers: the median of the rounds, and all of them."""
    workload = ALL["T"]
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for system in draw.sample(list(systems), len(systems)):
            call = partial(_answer, system)
            call()
            rates.setdefault(system.name, []).append(Load(call, CALLERS, seconds).run().jobs_per_s)
    for name, found in rates.items():
        told = ", ".join(f"{rate:.0f}" for rate in found)
        print(f"{workload.letter} {CALLERS} callers   {name:34} {statistics.median(found):7.0f} jobs/s  ({told})")


def _answer(system: System) -> Answer:
    return Answer("ok", system.call(ALL["T"]).phases_s)


def cpu(systems: Sequence[System]) -> None:
    """Print CPU of a T job: of everything below this process, and of this process."""
    for system in systems:
        system.call(ALL["T"])
        rest()
        before_s, own_s = children_cpu_s(), time.process_time()
        for _ in range(CPU_JOBS):
            system.call(ALL["T"])
        own_s = time.process_time() - own_s
        rest()
        below_ms = 1000 * (children_cpu_s() - before_s) / CPU_JOBS
        print(f"T CPU         {system.name:34} {below_ms:7.2f} ms, caller {1000 * own_s / CPU_JOBS:.2f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=20_261_130)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    light, science = Warmfork(OURS), Warmfork(LIGHT_OFF)
    with_libraries, without = LimitRelay(libraries=True), LimitRelay(libraries=False)
    echo, floor = Echo(), InProcess()
    systems: list[System] = [light, science, with_libraries, without, echo, floor]
    try:
        for system in systems:
            system.start()
        paced("T", [light, science, with_libraries, without, echo], 60 * args.rounds, draw)
        paced("D", [science, with_libraries, floor], 20 * args.rounds, draw)
        loaded([light, science, with_libraries, without], args.rounds, args.seconds, draw)
        cpu([light, science, with_libraries, without, echo])
    finally:
        for system in systems:
            system.stop()


if __name__ == "__main__":
    main()

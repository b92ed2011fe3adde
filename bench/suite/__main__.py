"""``python -m bench.suite``: measure everything, write ``results.json``, ``report.md`` and plots."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.suite import facts, measure, report, usage
from bench.suite.alternatives import Bubblewrap, Cold, ForkServer, Jupyter, Pool
from bench.suite.findings import Findings
from bench.suite.floors import Echo, InProcess
from bench.suite.ours import AsyncWarmfork, Daemon, Warmfork
from bench.suite.plan import FULL, QUICK, Plan
from bench.suite.systems import System, child_environment
from bench.suite.targets import judge
from bench.suite.workloads import ALL, Workload, chosen

STAGES: Final = ("floors", "paced", "memory", "cpu", "load")
_LOOK_S: Final = 1.0
_OUT: Final = Path(tempfile.gettempdir(), "warmfork-bench")


class Suite:
    """One run: systems that are started once, and the stages one after the other.

    Args:
        plan: how much.
        only: names of alternatives to measure; all without it. Ours and the floors are always there.
        seed: of the orders of rounds.
    """

    def __init__(self, plan: Plan, only: frozenset[str] | None, seed: int) -> None:
        self._plan = plan
        self._draw = random.Random(seed)
        self._daemon = Daemon()
        self._ours = Warmfork(self._daemon)
        self._light = Warmfork(self._daemon, "warmfork, light", "light")
        self._echo = Echo()
        self._floor = InProcess()
        alternatives: list[System] = [Cold(), ForkServer(), Pool(), Jupyter(), Bubblewrap()]
        self._wanted: list[System] = [
            *(self._ours, self._light, self._echo, self._floor),
            *(system for system in alternatives if only is None or system.name in only),
        ]
        self._started: list[System] = []
        self._due_s = time.monotonic() + plan.limit_s
        self.findings = Findings(facts=facts.collect())

    def start(self) -> None:
        """Start what can be started here; the rest is listed with its reason."""
        before = facts.cpu_times()
        time.sleep(_LOOK_S)
        self.findings.facts["idle_before"] = facts.idle_share(before)
        self.findings.facts["noisy"] = facts.is_noisy(self.findings.facts)
        for system in self._wanted:
            say(f"starting {system.name}")
            try:
                system.start()
            except Exception as problem:
                if system is self._ours:
                    raise
                self.findings.skipped[system.name] = str(problem)
                continue
            self._started.append(system)
        self.findings.facts["start_s"] = self._daemon.start_s
        self.findings.facts["guard"] = self._daemon.status()["guard"]

    def run(self, workloads: list[Workload], stages: frozenset[str]) -> None:
        """The stages, in the order in which they disturb each other least."""
        if "floors" in stages:
            say("bare forks")
            usage.measure_forks(self.findings, quick=self._plan.quick)
        if "paced" in stages:
            self._run_paced(workloads)
        if "memory" in stages and self._step("memory"):
            systems = [system for system in self._for(ALL["C"]) if system not in (self._floor, self._echo)]
            usage.measure_memory(self.findings, systems, self._daemon, self._floor)
        busy = [workload for workload in workloads if workload.letter in self._plan.load_s]
        if "cpu" in stages:
            for workload in busy:
                self._run_cpu(workload)
        if "load" in stages:
            for workload in busy:
                self._run_load(workload)

    def _run_paced(self, workloads: list[Workload]) -> None:
        for workload in workloads:
            if self._step(f"paced calls, {workload.letter}: {workload.title}"):
                systems = self._for(workload)
                measure.measure_paced(self.findings, self._plan, workload, systems, self._draw, self._floor.same_pixels)
            if workload.letter != "C":  # whose process is needed once more, for its memory
                self._floor.forget(workload)

    def _run_cpu(self, workload: Workload) -> None:
        if self._step(f"CPU of one job, {workload.letter}"):
            systems = [system for system in self._for(workload) if system not in (self._floor, self._echo)]
            usage.measure_cpu(self.findings, self._plan, workload, systems, self._daemon, self._floor)

    def _run_load(self, workload: Workload) -> None:
        """Callers side by side; and for charts, what the CPUs can draw at all."""
        systems = [system for system in self._for(workload) if system is not self._floor]
        others = {} if workload.formats else {"warmfork, asyncio": AsyncWarmfork(self._daemon).load}
        measure.measure_load(self.findings, self._plan, workload, systems, others, self._draw, self._step)
        if workload.formats and self._step(f"  {workload.letter}, in process on each CPU"):
            measure.measure_renders(self.findings, self._plan, workload, self.findings.facts["cpus"])

    def _step(self, what: str) -> bool:
        """Say what comes; False where the run's time is up, and it is noted as left out."""
        if time.monotonic() > self._due_s:
            self.findings.skipped[what.strip()] = f"the {self._plan.limit_s:g} s of a {self._plan.name} run were over"
            return False
        say(what)
        return True

    def _for(self, workload: Workload) -> list[System]:
        """The systems that a workload makes sense on: the echo and the light template have T alone."""
        alone = () if workload.letter == "T" else (self._echo, self._light)
        return [system for system in self._started if system not in alone]

    def stop(self) -> None:
        """End every process."""
        for system in reversed(self._started):
            system.stop()
        self._daemon.stop()


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, write, and print how the run stands to the targets."""
    parser = argparse.ArgumentParser(prog="python -m bench.suite", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 3 minutes; proves nothing")
    parser.add_argument("--workloads", default=",".join(ALL), help="letters (default: all)")
    parser.add_argument("--systems", help="alternatives to measure, by name, commas between (default: all)")
    parser.add_argument("--stages", default=",".join(STAGES), help=f"of {', '.join(STAGES)} (default: all)")
    parser.add_argument("--out", type=Path, default=_OUT, help=f"directory (default: {_OUT})")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    try:
        workloads = chosen(args.workloads)
    except ValueError as problem:
        parser.error(str(problem))
    only = None if args.systems is None else frozenset(name.strip() for name in args.systems.split(","))
    os.environ.update(child_environment())  # the fork server takes it from here
    args.out.mkdir(parents=True, exist_ok=True)
    suite = Suite(QUICK if args.quick else FULL, only, args.seed)
    started_s = time.monotonic()
    suite.findings.facts["when"] = time.strftime("%Y-%m-%d %H:%M:%S %z")
    try:
        suite.start()
        suite.run(workloads, frozenset(args.stages.split(",")))
    finally:
        suite.stop()
    suite.findings.facts["taken_s"] = time.monotonic() - started_s
    write(suite.findings, args.out, quick=args.quick)


def write(findings: Findings, out: Path, *, quick: bool) -> None:
    """The report of what was found."""
    outcomes = judge(findings)
    data = {**findings.as_json(), "quick": quick, "targets": [dataclasses.asdict(outcome) for outcome in outcomes]}
    (out / "results.json").write_text(json.dumps(data) + "\n", encoding="utf-8")
    plots = report.draw(findings, out)
    (out / "report.md").write_text(report.markdown(findings, outcomes, plots, quick=quick), encoding="utf-8")
    print("\n".join(report.lines_of(outcomes)))
    say(f"{findings.facts['taken_s']:.0f} s; wrote {out / 'report.md'}, results.json and {len(plots)} plots")


if __name__ == "__main__":
    main()

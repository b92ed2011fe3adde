"""``python -m bench.suite``: measure everything, write ``results.json``, ``report.md`` and plots."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench.suite import facts, measure, report, usage
from bench.suite.alternatives import Bubblewrap, Cold, ForkServer, Jupyter, Pool
from bench.suite.findings import Findings
from bench.suite.floors import Echo, InProcess
from bench.suite.ours import AsyncWarmfork, Warmfork
from bench.suite.plan import FULL, QUICK, Plan
from bench.suite.relay import Relay
from bench.suite.systems import LIGHT_OFF, OURS, System, Unavailable, child_environment
from bench.suite.targets import judge
from bench.suite.workloads import ALL, Workload, chosen

STAGES: Final = ("floors", "paced", "memory", "cpu", "load")
ALTERNATIVES: Final[Mapping[str, Callable[[], System]]] = {
    Cold.name: Cold, ForkServer.name: ForkServer, Pool.name: Pool, Jupyter.name: Jupyter, Bubblewrap.name: Bubblewrap,
}  # fmt: skip
_LOOK_S: Final = 1.0
_OUT: Final = Path(tempfile.gettempdir(), "warmfork-bench")
_INTERRUPTED: Final = 130


class Suite:
    """One run: systems that are started once, and the stages one after the other; what fails is in ``findings.skipped``.

    Args:
        plan: how much.
        alternatives: those to measure; ours and the floors are always there.
        seed: of the orders of rounds.
    """

    def __init__(self, plan: Plan, alternatives: Sequence[System], seed: int) -> None:
        self._plan = plan
        self._draw = random.Random(seed)
        self._ours = Warmfork(OURS)
        self._light_off = Warmfork(LIGHT_OFF)
        self._echo = Echo()
        self._relay = Relay()
        self._floor = InProcess()
        self._wanted: list[System] = [
            *(self._ours, self._light_off, self._echo, self._relay, self._floor),
            *alternatives,
        ]
        self._started: list[System] = []
        self._due_s = time.monotonic() + plan.limit_s
        self.findings = Findings(facts=facts.collect())

    def measure(self, workloads: Sequence[Workload], stages: frozenset[str]) -> None:
        """Everything that can be measured here; without a daemon of ours, nothing."""
        before = facts.cpu_times()
        time.sleep(_LOOK_S)
        self.findings.facts["idle_before"] = facts.idle_share(before)
        self.findings.facts["noisy"] = facts.is_noisy(self.findings.facts)
        letters = {workload.letter for workload in workloads}
        for system in self._wanted:
            if "T" in letters or system not in self._of_t_alone:
                self._start(system)
            if self._ours not in self._started:
                return
        self._run(workloads, stages)

    def _start(self, system: System) -> None:
        say(f"starting {system.name}")
        try:
            system.start()
            if isinstance(system, Warmfork):
                self.findings.facts.setdefault("daemons", {})[system.name] = system.daemon.facts()
        except Exception as problem:
            self.findings.skipped[system.name] = _told(problem)
            with contextlib.suppress(Exception):  # it may have come half way
                system.stop()
        else:
            self._started.append(system)

    def _run(self, workloads: Sequence[Workload], stages: frozenset[str]) -> None:
        """The stages, in the order in which they disturb each other least."""
        if "floors" in stages:
            self._try("bare forks", partial(usage.measure_forks, self.findings, quick=self._plan.quick))
        if "paced" in stages:
            for workload in workloads:
                self._try(f"paced calls, {workload.letter}: {workload.title}", partial(self._run_paced, workload))
                if workload.letter != "C":  # whose process is needed once more, for its memory
                    self._floor.forget(workload)
        if "memory" in stages:
            self._try("memory", self._run_memory)
        busy = [workload for workload in workloads if workload.letter in self._plan.load_s]
        if "cpu" in stages:
            for workload in busy:
                self._try(f"CPU of one job, {workload.letter}", partial(self._run_cpu, workload))
        if "load" in stages:
            for workload in busy:
                self._try(f"callers side by side, {workload.letter}", partial(self._run_load, workload))

    def _run_paced(self, workload: Workload) -> None:
        systems = self._for(workload)
        measure.measure_paced(self.findings, self._plan, workload, systems, self._draw, self._floor.same_pixels)

    def _run_memory(self) -> None:
        systems = [system for system in self._for(ALL["C"]) if system is not self._floor]
        usage.measure_memory(self.findings, systems, self._ours.daemon, self._floor)

    def _run_cpu(self, workload: Workload) -> None:
        systems = [system for system in self._for(workload) if system not in (self._floor, self._echo)]
        usage.measure_cpu(self.findings, self._plan, workload, systems, self._floor)

    def _run_load(self, workload: Workload) -> None:
        """Callers side by side; and for charts, what the CPUs can draw at all."""
        systems = [system for system in self._for(workload) if system is not self._floor]
        others = {} if workload.formats else {AsyncWarmfork.name: AsyncWarmfork(self._ours.daemon).load}
        measure.measure_load(self.findings, self._plan, workload, systems, others, self._draw, self._step)
        if workload.formats:
            cpus = self.findings.facts["cpus"]
            self._try(
                f"  {workload.letter}, in process on each CPU",
                partial(measure.measure_renders, self.findings, self._plan, workload, cpus),
            )

    def _try(self, what: str, stage: Callable[[], None]) -> None:
        """Do it if there is time; what it raises is noted, and the run goes on with what it has found."""
        if self._step(what):
            try:
                stage()
            except Exception as problem:
                self.findings.skipped[what.strip()] = _told(problem)

    def _step(self, what: str) -> bool:
        """Say what comes; False where the run's time is up, and it is noted as left out."""
        if time.monotonic() > self._due_s:
            self.findings.skipped[what.strip()] = f"the {self._plan.limit_s:g} s of a {self._plan.name} run were over"
            return False
        say(what)
        return True

    @property
    def _of_t_alone(self) -> tuple[System, ...]:
        """What makes sense for the trivial workload only."""
        return self._echo, self._light_off, self._relay

    def _for(self, workload: Workload) -> list[System]:
        """The systems that are measured on a workload."""
        return [system for system in self._started if workload.letter == "T" or system not in self._of_t_alone]

    def stop(self) -> None:
        """End every process."""
        for system in reversed(self._started):
            try:
                system.stop()
            except Exception as problem:
                say(f"{system.name} did not end well: {_told(problem)}")


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def _told(problem: Exception) -> str:
    return str(problem) if isinstance(problem, Unavailable) else f"{type(problem).__name__}: {problem}"


def words_of(text: str, known: Sequence[str], what: str) -> list[str]:
    """The names in a text with commas between, once each. Raises ValueError that tells the one that is not known."""
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is no {what}; there are {', '.join(known)}")
    return words


def main() -> int:
    """Measure, write, and print how the run stands to the targets; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m bench.suite", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 3 minutes; proves nothing")
    parser.add_argument("--workloads", default=",".join(ALL), help="letters (default: all)")
    parser.add_argument(
        "--systems", default=",".join(ALTERNATIVES), help=f"alternatives, of {', '.join(ALTERNATIVES)} (default: all)"
    )
    parser.add_argument("--stages", default=",".join(STAGES), help=f"of {', '.join(STAGES)} (default: all)")
    parser.add_argument("--out", type=Path, default=_OUT, help=f"directory (default: {_OUT})")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    try:
        workloads = chosen(args.workloads)
        alternatives = words_of(args.systems, list(ALTERNATIVES), "alternative")
        stages = frozenset(words_of(args.stages, STAGES, "stage"))
    except ValueError as problem:
        parser.error(str(problem))
    os.environ.update(child_environment())  # the fork server takes it from here
    args.out.mkdir(parents=True, exist_ok=True)
    suite = Suite(QUICK if args.quick else FULL, [ALTERNATIVES[name]() for name in alternatives], args.seed)
    findings, interrupted, started_s = suite.findings, False, time.monotonic()
    findings.facts["when"] = time.strftime("%Y-%m-%d %H:%M:%S %z")
    try:
        suite.measure(workloads, stages)
    except KeyboardInterrupt:
        interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would leave processes behind
        findings.skipped["everything after that"] = "the run was interrupted"
    finally:
        suite.stop()
    findings.facts["taken_s"] = time.monotonic() - started_s
    if not (interrupted and findings.empty):
        write(findings, args.out, quick=args.quick)
    return _INTERRUPTED if interrupted else 0


def write(findings: Findings, out: Path, *, quick: bool) -> None:
    """The report of what was found; first of all the bare findings, which no fault of a table or plot can then take away."""
    results = out / "results.json"
    results.write_text(json.dumps(findings.as_json()) + "\n", encoding="utf-8")
    outcomes = judge(findings)
    try:
        plots = report.draw(findings, out)
    except Exception as problem:
        plots = []
        findings.skipped["plots"] = _told(problem)
    data = {**findings.as_json(), "quick": quick, "targets": [dataclasses.asdict(outcome) for outcome in outcomes]}
    results.write_text(json.dumps(data) + "\n", encoding="utf-8")
    (out / "report.md").write_text(report.markdown(findings, outcomes, plots, quick=quick), encoding="utf-8")
    print("\n".join(report.lines_of(outcomes)))
    say(f"{findings.facts['taken_s']:.0f} s; wrote {out / 'report.md'}, results.json and {len(plots)} plots")


if __name__ == "__main__":
    sys.exit(main())

"""CPU and memory of the systems, one at a time while all others stand idle."""

from __future__ import annotations

import dataclasses
import os
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.suite import floors
from bench.suite.alternatives import Bubblewrap
from bench.suite.findings import Findings
from bench.suite.floors import InProcess
from bench.suite.ours import Daemon, Warmfork
from bench.suite.plan import Plan
from bench.suite.resources import Memory, busiest, children_cpu_s, daemon_cpu_s, memory_of, processes, rest
from bench.suite.systems import System, Unavailable
from bench.suite.workloads import ALL, HOLD, Workload

from warmfork.wire.records import TEMPLATE_DEFAULT

IDLE: Final = "warmfork, idle worker"
IDLE_LIGHT: Final = "warmfork, idle light worker"

_LOOK_S: Final = 0.05
_SLOW_SHARE: Final = 10
_JOBS_MIN: Final = 4
_IDLE_LOOKED_AT: Final = 3


def measure_cpu(
    findings: Findings, plan: Plan, workload: Workload, systems: Sequence[System], floor: InProcess
) -> None:
    """CPU seconds of one job of each system, jobs one after the other without a pause.

    ``job`` is everything below this process, ``client`` this process itself; of warmfork also ``daemon`` and ``template and
    workers``. A replacement forked for a job is counted with it, as it is in the long run.
    """
    found = findings.cpu_s.setdefault(workload.letter, {})
    for system in systems:
        if isinstance(system, Bubblewrap):
            findings.skipped[f"{system.name}, CPU of {workload.letter}"] = (
                "its program's end is waited for out of our sight"
            )
            continue
        daemon = system.daemon if isinstance(system, Warmfork) else None
        jobs = plan.cpu_jobs[workload.letter] // (1 if daemon else _SLOW_SHARE)
        try:
            found[system.name] = _cpu_of(system, workload, max(jobs, _JOBS_MIN), daemon)
        except Exception as problem:
            findings.skipped[f"{system.name}, CPU of {workload.letter}"] = f"{type(problem).__name__}: {problem}"
    for _ in range(_JOBS_MIN):  # its process may be new, and a first run is cold
        floor.call(workload)
    found[floor.name] = {
        "job": floor.cpu_of(workload, max(plan.cpu_jobs[workload.letter] // 2, _JOBS_MIN)),
        "client": 0.0,
    }


def _cpu_of(system: System, workload: Workload, jobs: int, daemon: Daemon | None) -> dict[str, float]:
    for _ in range(_JOBS_MIN):
        system.call(workload)
    rest()
    before_s, client_s = children_cpu_s(), time.process_time()
    parts = daemon_cpu_s(daemon.pid) if daemon else (0.0, 0.0)
    for _ in range(jobs):
        system.call(workload)
    client_s = time.process_time() - client_s
    rest()
    found = {"job": (children_cpu_s() - before_s) / jobs, "client": client_s / jobs}
    if daemon:
        after = daemon_cpu_s(daemon.pid)
        found["daemon"] = (after[0] - parts[0]) / jobs
        found["template and workers"] = (after[1] - parts[1]) / jobs
    return found


def measure_memory(findings: Findings, systems: Sequence[System], daemon: Daemon, floor: InProcess) -> None:
    """Memory of the daemon, of idle workers, of a process that holds a chart in each system, and of the floor."""
    rest()
    status = daemon.status()
    for what, light in ((IDLE, False), (IDLE_LIGHT, True)):
        idle = [memory_of(pid) for pid in idle_workers(status, light=light)[:_IDLE_LOOKED_AT]]
        if idle:
            findings.memory[what] = _median_of(idle)
        else:
            findings.skipped[what] = "there is none"
    findings.memory["warmfork, daemon"] = dataclasses.asdict(memory_of(daemon.pid))
    floor.call(ALL["C"])
    findings.memory[f"{floor.name}, C"] = dataclasses.asdict(memory_of(floor.process_of(ALL["C"]).pid))
    for system in systems:
        try:
            most = _while_held(system)
        except Exception as problem:
            findings.skipped[f"{system.name}, memory"] = f"{type(problem).__name__}: {problem}"
            continue
        if most is not None:
            findings.memory[f"{system.name}, running C"] = dataclasses.asdict(most)


def idle_workers(status: Mapping[str, Any], *, light: bool) -> list[int]:
    """Process ids of what waits in the default template, or in its light companion."""
    names = {row["name"] for row in status["templates"] if row["light"]} if light else {TEMPLATE_DEFAULT}
    rows = status["workers"]["list"]
    return [row["pid"] for row in rows if row["state"] == "idle" and row["template"] in names]


def _while_held(system: System) -> Memory | None:
    """Memory of the process that has drawn a chart and holds it, at its highest; None where it was not found."""
    problems: list[BaseException] = []

    def hold() -> None:
        try:
            system.call(HOLD)
        except BaseException as problem:  # raised again in the thread that waits
            problems.append(problem)

    before = processes()
    thread = threading.Thread(target=hold)
    thread.start()
    looks: list[tuple[float, int, Memory]] = []
    while thread.is_alive():
        thread.join(_LOOK_S)
        found = busiest(before, os.getpid())
        if found is not None and (memory := memory_of(found[0])).anon_bytes is not None:
            looks.append((found[1], found[0], memory))
    if problems:
        raise problems[0]
    # Early on, what wakes up now and then may have used more than the job; by the end nothing has.
    drew = max(looks, key=lambda look: look[0], default=(0.0, 0, None))[1]
    held = [memory for _, pid, memory in looks if pid == drew]
    return max(held, key=lambda memory: memory.anon_bytes or 0, default=None)


def _median_of(looks: Sequence[Memory]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for field in dataclasses.fields(Memory):
        values = [value for look in looks if (value := getattr(look, field.name)) is not None]
        found[field.name] = statistics.median_low(values) if values else None
    return found


def measure_forks(findings: Findings, *, quick: bool) -> None:
    """Bare forks, from nothing to a whole template; and the price of size, where its program is there."""
    times = 50 if quick else 300
    trivial = ALL["T"].code
    findings.forks["with libraries, exit"] = floors.forks(libraries=True, times=times)
    findings.forks["with libraries, T"] = floors.forks(libraries=True, run=trivial, times=times)
    findings.forks["bare interpreter, exit"] = floors.forks(libraries=False, times=times)
    findings.forks["bare interpreter, T"] = floors.forks(libraries=False, run=trivial, times=times)
    try:
        findings.forks["C program, exit"] = {"taken_s": floors.c_forks(times)}
    except Unavailable as problem:
        findings.skipped["C program's fork"] = str(problem)
    try:
        findings.fork_by_size = floors.fork_cost_by_size(quick=quick)
    except Unavailable as problem:
        findings.skipped["fork against template size"] = str(problem)

"""What a switch of the configuration buys: jobs a second, CPU and page faults of a job, with it and without, in turns.

PYTHONPATH=client:daemon:worker python bench/switch.py [SETTING [WORKLOADS [ROUNDS [JOBS]]]]

SETTING is one of the kind auto or off, ``pool.light`` by default; WORKLOADS are letters as of ``bench.suite``, T by default;
JOBS is how many of the cheap ones a caller has, a tenth of it for the others. Lines are medians of the rounds, with all of
them in brackets.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warmfork import Client
from warmfork.cli.bench_workloads import ALL, Workload
from warmfork.embedding import EmbeddedDaemon

CALLERS = (1, 4)
CHEAP = "TN"
WARM_UP = 3
WAIT_S = 60.0
"""Longer than any wait here takes: for a daemon to come to rest, for callers to have warmed up."""
REST_S = 0.2
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """By a process and its reaped children: CPU seconds, minor page faults."""

    cpu_s: float
    faults: int


@dataclass(frozen=True)
class Cost:
    """Of one job, but the rate, which is of all callers together: jobs a second, CPU milliseconds, page faults."""

    rate: float
    workers_ms: float
    daemon_ms: float
    faults: float


def spent(pid: int) -> Spent:
    """By the kernel's count."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = list(map(int, stat.read().rpartition(")")[2].split()[1:]))
    return Spent(sum(fields[10:14]) / _TICKS_PER_S, fields[6] + fields[7])


def call(address: str, key: bytes, workload: Workload, jobs: int, barrier: Any, spans: Any) -> None:
    """One caller, in a process of its own."""
    try:
        with Client(address, key=key) as client:
            for _ in range(WARM_UP):
                client.execute(workload.code, formats=workload.formats)
            barrier.wait(WAIT_S)
            began_s = time.perf_counter()
            for _ in range(jobs):
                if not client.execute(workload.code, formats=workload.formats).ok:
                    raise RuntimeError("a job did not end well")
            spans.put((began_s, time.perf_counter()))
    except Exception as problem:
        barrier.abort()  # nobody waits for one that will not come
        spans.put(f"{type(problem).__name__}: {problem}")


def await_rest(daemon: EmbeddedDaemon) -> None:
    """Until all templates have settled and their idle workers wait. Raises TimeoutError."""
    due_s = time.monotonic() + WAIT_S
    with Client(daemon.address, key=daemon.key) as client:
        while not all(row["settled"] and row["idle"] >= row["wanted_idle"] for row in client.status()["templates"]):
            if time.monotonic() > due_s:
                raise TimeoutError(f"the daemon did not come to rest within {WAIT_S:g} s")
            time.sleep(0.1)


def measure(daemon: EmbeddedDaemon, workload: Workload, callers: int, jobs: int) -> Cost:
    """The cost of a job of this workload.

    Raises:
        RuntimeError: a caller failed.
    """
    with Client(daemon.address, key=daemon.key) as client:
        status = client.status()
    pids = [int(status["pid"]), *(int(row["pid"]) for row in status["templates"])]
    context = multiprocessing.get_context("fork")
    barrier, spans = context.Barrier(callers), context.Queue()
    before = list(map(spent, pids))
    processes = [
        context.Process(target=call, args=(daemon.address, daemon.key, workload, jobs, barrier, spans))
        for _ in range(callers)
    ]
    for process in processes:
        process.start()
    seen = [spans.get() for _ in processes]
    for process in processes:
        process.join()
    if failed := [told for told in seen if isinstance(told, str)]:
        raise RuntimeError("; ".join(failed))
    time.sleep(REST_S)  # the last workers are reaped
    own, *templates = list(zip(before, map(spent, pids), strict=True))
    total = callers * (jobs + WARM_UP)
    return Cost(
        callers * jobs / (max(end for _, end in seen) - min(begin for begin, _ in seen)),
        1000 * sum(after.cpu_s - earlier.cpu_s for earlier, after in templates) / total,
        1000 * (own[1].cpu_s - own[0].cpu_s) / total,
        sum(after.faults - earlier.faults for earlier, after in templates) / total,
    )


def tell(costs: Sequence[Cost]) -> str:
    """Medians, and each round's CPU."""
    of = {name: statistics.median(getattr(cost, name) for cost in costs) for name in vars(costs[0])}
    rounds = ", ".join(f"{cost.workers_ms:.2f}" for cost in costs)
    return (
        f"{of['rate']:6.1f} jobs/s, CPU of a job: template and workers {of['workers_ms']:6.2f} ms ({rounds}), "
        f"daemon {of['daemon_ms']:5.2f} ms; {of['faults']:6.0f} faults"
    )


def main(setting: str = "pool.light", letters: str = "T", rounds: str = "3", jobs: str = "300") -> None:
    """Print a line for each workload, number of callers and value of the setting."""
    daemons = {value: EmbeddedDaemon(settings={setting: value}) for value in ("auto", "off")}
    print(f"Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    try:
        for daemon in daemons.values():
            daemon.start()
            await_rest(daemon)
        for letter in letters:
            of_caller = int(jobs) if letter in CHEAP else max(1, int(jobs) // 10)
            costs: dict[tuple[int, str], list[Cost]] = {}
            for _ in range(int(rounds)):
                for callers in CALLERS:
                    for value, daemon in daemons.items():
                        cost = measure(daemon, ALL[letter], callers, of_caller)
                        costs.setdefault((callers, value), []).append(cost)
            for (callers, value), found in costs.items():
                print(f"{letter} {setting}={value:4} callers={callers} {tell(found)}", flush=True)
    finally:
        for daemon in daemons.values():
            daemon.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What a switch of the configuration buys: jobs a second and CPU of a T job, with it and without, in alternating rounds.

PYTHONPATH=client:daemon:worker python bench/switch.py [SETTING [ROUNDS [JOBS]]]

A setting is one of the kind auto or off, such as ``pool.light``, which it is by default.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import Any

from warmfork import Client
from warmfork.embedding import EmbeddedDaemon

CODE = "print(1+1)"
WARM_UP = 3
WAIT_S = 60.0
"""Longer than any wait here takes: for a daemon to come to rest, for callers to have warmed up."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its reaped children, by the kernel's count."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def call(address: str, key: bytes, jobs: int, barrier: Any, spans: Any) -> None:
    """One caller, in a process of its own."""
    try:
        with Client(address, key=key) as client:
            for _ in range(WARM_UP):
                client.execute(CODE)
            barrier.wait(WAIT_S)
            began_s = time.perf_counter()
            for _ in range(jobs):
                if not client.execute(CODE).ok:
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


def measure(daemon: EmbeddedDaemon, callers: int, jobs: int) -> tuple[float, float, float]:
    """Jobs a second, and milliseconds of CPU of a job: templates with workers, and the daemon.

    Raises:
        RuntimeError: a caller failed.
    """
    with Client(daemon.address, key=daemon.key) as client:
        status = client.status()
    pids = [int(status["pid"]), *(int(row["pid"]) for row in status["templates"])]
    context = multiprocessing.get_context("fork")
    barrier, spans = context.Barrier(callers), context.Queue()
    before = list(map(cpu_s, pids))
    processes = [
        context.Process(target=call, args=(daemon.address, daemon.key, jobs, barrier, spans)) for _ in range(callers)
    ]
    for process in processes:
        process.start()
    seen = [spans.get() for _ in processes]
    for process in processes:
        process.join()
    if failed := [told for told in seen if isinstance(told, str)]:
        raise RuntimeError("; ".join(failed))
    time.sleep(0.2)  # the last workers are reaped
    own, *templates = (after - earlier for after, earlier in zip(map(cpu_s, pids), before, strict=True))
    total = callers * (jobs + WARM_UP)
    seconds = max(end for _, end in seen) - min(begin for begin, _ in seen)
    return callers * jobs / seconds, 1000 * sum(templates) / total, 1000 * own / total


def main(setting: str = "pool.light", rounds: str = "3", jobs: str = "300") -> None:
    """Print a line for each round, value of the setting and number of callers."""
    daemons = {value: EmbeddedDaemon(settings={setting: value}) for value in ("auto", "off")}
    try:
        for daemon in daemons.values():
            daemon.start()
            await_rest(daemon)
        for _ in range(int(rounds)):
            for value, daemon in daemons.items():
                for callers in (1, 4):
                    rate, workers_ms, daemon_ms = measure(daemon, callers, int(jobs))
                    print(
                        f"{setting}={value:4} callers={callers} {rate:6.0f} jobs/s, CPU of a job: template and workers "
                        f"{workers_ms:5.2f} ms, daemon {daemon_ms:5.2f} ms; load {os.getloadavg()[0]:.1f}",
                        flush=True,
                    )
    finally:
        for daemon in daemons.values():
            daemon.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Many jobs at once, by hand: ``python bench/load.py [--clients 50] [--jobs 60]``.

Every client sends all its jobs at the same moment: a third trivial, a third failing, and a third that sleep for about as
long as they may, so that half of those end as ``timeout``. Each job must get exactly one honest answer: the right verdict,
its own output. Printed: verdicts, rate, latencies, and the daemon's memory and descriptors before, at most, and after.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import time

import psutil

from warmfork import AsyncClient
from warmfork.embedding import EmbeddedDaemon
from warmfork.results import Result

TIMEOUT_S = 1.0
KINDS = ("good", "failing", "near")


def code_of(kind: str, mark: str, number: int) -> str:
    """A job that prints its mark first, so that no answer can be another's."""
    after = {
        "good": "",
        "failing": "raise ValueError('as asked')",
        "near": f"import time; time.sleep({TIMEOUT_S * (0.6 if number % 2 else 1.6)})",
    }[kind]
    return f"print({mark!r}, flush=True)\n{after}"


def is_right(kind: str, mark: str, number: int, result: Result) -> bool:
    """Whether this is the answer that this job must get."""
    expected = {"good": ("ok",), "failing": ("error",), "near": ("ok", "timeout") if number % 2 else ("timeout",)}[kind]
    return result.verdict in expected and result.stdout == f"{mark}\n"


async def run_client(daemon: EmbeddedDaemon, name: int, jobs: int, answers: list[tuple[bool, str, float]]) -> None:
    """All jobs of one client at once."""

    async def one(client: AsyncClient, number: int) -> None:
        kind, mark = KINDS[number % 3], f"{name}/{number}"
        started_s = time.perf_counter()
        result = await client.execute(code_of(kind, mark, number), timeout_s=TIMEOUT_S, policy="standard")
        answers.append((is_right(kind, mark, number, result), result.verdict, time.perf_counter() - started_s))

    async with AsyncClient(daemon.address, key=daemon.key) as client:
        await asyncio.gather(*(one(client, number) for number in range(jobs)))


async def watch(process: psutil.Process, peak: list[int]) -> None:
    """Keep the highest resident memory of the daemon."""
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        await asyncio.sleep(0.1)


async def measure(daemon: EmbeddedDaemon, clients: int, jobs: int) -> None:
    """Run, check, print."""
    process = psutil.Process(daemon.pid)
    before, peak = (process.memory_info().rss, process.num_fds()), [0]
    watcher = asyncio.create_task(watch(process, peak))
    answers: list[tuple[bool, str, float]] = []
    started_s = time.perf_counter()
    await asyncio.gather(*(run_client(daemon, name, jobs, answers) for name in range(clients)))
    taken_s = time.perf_counter() - started_s
    watcher.cancel()
    await asyncio.sleep(1.0)
    verdicts = collections.Counter(verdict for _, verdict, _ in answers)
    wrong = sum(not right for right, _, _ in answers)
    waits = sorted(wait for _, _, wait in answers)
    print(
        f"{len(answers)} answers to {clients * jobs} jobs, {wrong} wrong, {dict(verdicts)}, {len(answers) / taken_s:.0f}/s"
    )
    print(
        f"latency p50 {waits[len(waits) // 2]:.2f} s, p99 {waits[int(len(waits) * 0.99)]:.2f} s, last {waits[-1]:.2f} s"
    )
    print(f"daemon: {before[0] >> 20} MiB before, {peak[0] >> 20} at most, {process.memory_info().rss >> 20} after; "
          f"descriptors {before[1]} before, {process.num_fds()} after")  # fmt: skip
    assert len(answers) == clients * jobs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=60)
    args = parser.parse_args()
    settings = {"pool.running_max": 48, "pool.idle_workers": 8, "queue.jobs_max": 10_000, "limits.memory_bytes": "256M"}
    daemon = EmbeddedDaemon(policy="standard", settings=settings)
    daemon.start()
    try:
        asyncio.run(measure(daemon, args.clients, args.jobs))
    finally:
        daemon.stop()


if __name__ == "__main__":
    main()

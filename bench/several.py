"""What several daemons give where the daemon is what is full, by hand: ``python bench/several.py [--daemons 1,2,4]``.

On a machine with few processors a daemon is never what is full first: the jobs' own work is. Here the processors are many for
it, because each daemon's process (its loop, ZeroMQ's threads) is allowed only a share of one, by the kernel's CPU controller
(``cpu.cfs_quota_us`` of cgroup v1), and its jobs wait instead of computing. Templates, workers and the caller are not bounded.
``BalancedClient`` divides the calls. Printed for each number of daemons, rounds in turns: jobs a second, CPU of the daemons for a
job, and how the jobs were divided. Needs root and a writable CPU controller, and says so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by its path, this finds bench/ alone

from bench.suite.ours import Daemon
from bench.suite.resources import parse_stat

from warmfork import BalancedClient, Client
from warmfork.cli.bench_load import Answer, Load

CONTROLLER: Final = Path("/sys/fs/cgroup/cpu")
QUOTA_US: Final = 1_000
"""The least that the controller takes: so the pauses in between are as short as they can be."""
WAIT_S: Final = 0.12
CODE: Final = f"import time\ntime.sleep({WAIT_S})"


@contextlib.contextmanager
def bounded(share: float) -> Iterator[Path]:
    """A cgroup whose processes get this share of one CPU. Raises OSError where there is no such controller to write to."""
    place = CONTROLLER / f"warmfork-bench-{uuid.uuid4().hex[:8]}"
    place.mkdir()
    try:
        (place / "cpu.cfs_period_us").write_text(str(int(QUOTA_US / share)))
        (place / "cpu.cfs_quota_us").write_text(str(QUOTA_US))
        yield place
    finally:
        for pid in (place / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (CONTROLLER / "cgroup.procs").write_text(pid)
        place.rmdir()


def answer(client: BalancedClient) -> Answer:
    """Of one call."""
    return Answer(client.execute(CODE).verdict)


def measure(clients: Sequence[Client], callers: int, seconds: float) -> tuple[float, float, list[int]]:
    """Jobs a second, milliseconds of the daemons' CPU for each, and how many each daemon had."""
    pids = [client.status()["pid"] for client in clients]
    before = [_own_s(pid) for pid in pids]
    done = [_answered(client) for client in clients]
    balanced = BalancedClient(clients)
    level = Load(partial(answer, balanced), callers, seconds).run()
    parts = [_answered(client) - at for client, at in zip(clients, done, strict=True)]
    if set(level.outcomes) != {"ok"} or sum(parts) != sum(level.outcomes.values()):
        raise SystemExit(f"not every job ended as it should: {dict(level.outcomes)}, divided {parts}")
    used_s = sum(_own_s(pid) - at for pid, at in zip(pids, before, strict=True))
    return level.jobs_per_s, 1000 * used_s / sum(parts), parts


def _own_s(pid: int) -> float:
    return parse_stat(Path(f"/proc/{pid}/stat").read_text()).own_s


def _answered(client: Client) -> int:
    return sum(client.status()["jobs"]["by_verdict"].values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--daemons", default="1,2,4", help="how many, in turns (default: 1,2,4)")
    parser.add_argument("--share", type=float, default=0.1, help="of one CPU for each daemon (default: 0.1)")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    args = parser.parse_args()
    counts = [int(one) for one in args.daemons.split(",")]
    if not os.access(CONTROLLER, os.W_OK):
        raise SystemExit(f"{CONTROLLER} cannot be written to: this takes root and the CPU controller of cgroup v1")
    settings = {"pool.running_max": args.callers, "pool.idle_workers": 24, "pool.idle_workers_max": 24}
    found: dict[int, list[tuple[float, float, list[int]]]] = {count: [] for count in counts}
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(max(counts)):
            daemon = Daemon(settings)
            stack.callback(daemon.stop)
            daemon.start()
            client = daemon.client
            assert client is not None
            clients.append(client)
            place = stack.enter_context(bounded(args.share))
            (place / "cgroup.procs").write_text(str(client.status()["pid"]))
        for _ in range(args.rounds):
            for count in random.sample(counts, len(counts)):
                found[count].append(measure(clients[:count], args.callers, args.seconds))
    print(f"each daemon {100 * args.share:g} % of a CPU, jobs that wait {WAIT_S} s, {args.callers} callers")
    print("daemons  jobs/s (each round)             CPU of the daemons for a job   divided (last round)")
    for count, rounds in found.items():
        rates = [rate for rate, _, _ in rounds]
        told = ", ".join(f"{rate:.0f}" for rate in rates)
        cpu_ms = statistics.median(cost for _, cost, _ in rounds)
        print(f"{count:7}  {statistics.median(rates):6.0f} ({told}){'':8} {cpu_ms:6.2f} ms   {rounds[-1][2]}")


if __name__ == "__main__":
    main()

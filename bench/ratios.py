"""Two ratios to a floor of the same run, by hand: ``python bench/ratios.py [--rounds N]``.

T: a paced ``print(1 + 1)`` through a running daemon, against a paced bare DEALER/ROUTER echo over ipc between two
processes. C: a chart (two axes, line and bars) through the daemon, against the same code and the same tight PNG warm in
one process. Each system alternates call by call with its floor, T and its echo in a client that has loaded nothing else;
medians and spreads are printed; a busy machine shows in the spread.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by its path, this finds bench/ alone

from bench.suite.floors import Echo

from warmfork import Client, embedded
from warmfork.cli.bench_workloads import ALL

TRIVIAL = ALL["T"]
CHART = ALL["C"]
PAUSE_S = 0.05
WARM_UP_ROUNDS = 5


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def draw_in_process() -> bytes:
    """The chart as a plain program draws it, warm."""
    import matplotlib.pyplot as plt

    exec(CHART.code, {})
    buffer = io.BytesIO()
    plt.gcf().savefig(buffer, format="png", bbox_inches="tight")
    plt.close("all")
    return buffer.getvalue()


def table_row(name: str, samples: list[float]) -> str:
    """Median, p90 and p99 of one system, in milliseconds."""
    ordered = sorted(samples)
    p50, p90, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.9, 0.99))
    return f"{name:34} n={len(ordered):5}  p50 {p50:8.3f} ms  p90 {p90:8.3f} ms  p99 {p99:8.3f} ms"


def alternate(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Call each in turn, paced; the first rounds warm caches on both sides and are not counted."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + WARM_UP_ROUNDS):
        for name, call in calls.items():
            time.sleep(PAUSE_S)
            taken = milliseconds(call)
            if number >= WARM_UP_ROUNDS:
                samples[name].append(taken)
    return samples


def measure(client: Client, echo: Echo, rounds: int) -> dict[str, list[float]]:
    """T against the echo, then C against the chart in process."""

    def execute(code: str) -> None:
        result = client.execute(code)
        assert result.ok, result.stderr

    trivial = alternate(
        {"echo": lambda: echo.call(TRIVIAL), "T through warmfork": lambda: execute(TRIVIAL.code)}, 5 * rounds
    )
    charts = alternate(
        {"C in one warm process": draw_in_process, "C through warmfork": lambda: execute(CHART.code)}, rounds
    )
    return trivial | charts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    os.environ["MPLBACKEND"] = "agg"
    echo = Echo()
    with embedded() as client:
        echo.start()
        try:
            samples = measure(client, echo, rounds)
        finally:
            echo.stop()
    for name, taken in samples.items():
        print(table_row(name, taken))
    floor_t, t, floor_c, c = map(statistics.median, samples.values())
    print(
        f"T / echo = {t / floor_t:.2f} (accepted: at most 8)    C / in process = {c / floor_c:.2f} (accepted: at most 1.25)"
    )


if __name__ == "__main__":
    main()

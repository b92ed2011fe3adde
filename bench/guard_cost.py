"""What the kernel's guard costs a job, by hand: ``python bench/guard_cost.py [--pairs N]``.

Two private daemons, one guarded and one with ``guard.unguarded``, answer ``print(1 + 1)`` in pairs, the order within a
pair drawn anew each time, each call after a pause in which both have forked their replacements. Printed: both medians, the
ratio of medians, and a 95 % interval of that ratio by bootstrap over pairs (percentile method, 4,000 resamples).
Issue 3 accepts a median at most 5 % higher, upper bound at most 10 %.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from warmfork import Client, embedded

TRIVIAL = "print(1 + 1)"
PAUSE_S = 0.02
WARM_UP_PAIRS = 50
RESAMPLES = 4_000


def milliseconds(client: Client) -> float:
    """How long one trivial job takes its caller."""
    started = time.perf_counter()
    result = client.execute(TRIVIAL)
    taken = (time.perf_counter() - started) * 1000
    assert result.stdout == "2\n"
    return taken


def measure(pairs: int, draw: random.Random) -> list[tuple[float, float]]:
    """(guarded, unguarded) milliseconds of each pair."""
    found = []
    with embedded() as guarded, embedded(settings={"guard.unguarded": True}) as unguarded:
        for number in range(pairs + WARM_UP_PAIRS):
            taken = {}
            order = [("guarded", guarded), ("unguarded", unguarded)]
            draw.shuffle(order)
            for name, client in order:
                time.sleep(PAUSE_S)
                taken[name] = milliseconds(client)
            if number >= WARM_UP_PAIRS:
                found.append((taken["guarded"], taken["unguarded"]))
    return found


def ratio_of_medians(pairs: list[tuple[float, float]]) -> float:
    """Median guarded over median unguarded."""
    return statistics.median(on for on, _ in pairs) / statistics.median(off for _, off in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=20_261_124)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    pairs = measure(args.pairs, draw)
    resampled = sorted(ratio_of_medians(draw.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    low, high = resampled[int(0.025 * RESAMPLES)], resampled[int(0.975 * RESAMPLES) - 1]
    for name, column in (("guarded", 0), ("unguarded", 1)):
        ordered = sorted(pair[column] for pair in pairs)
        print(f"{name:10} p50 {statistics.median(ordered):.3f} ms, p90 {ordered[int(0.9 * len(ordered))]:.3f} ms")
    print(f"ratio of medians {ratio_of_medians(pairs):.3f}, 95 % interval {low:.3f} to {high:.3f}, {len(pairs)} pairs")


if __name__ == "__main__":
    main()

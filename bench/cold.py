"""What Python costs after a pause: ``PYTHONPATH=client:daemon:worker python bench/cold.py [ROUNDS]``.

The code is what the client does before it sends: arguments to frames. It is there twice, as two copies of the same modules
(A and B), so that what is cold can be told apart: run right after A, B finds the interpreter and its libraries warm, and its
own code and data cold. Medians in microseconds; the pause is 40 ms, slept, or spent in a loop that does nothing.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

PAUSE_S: Final = 0.04
_WARM_UP: Final = 300

Work = Callable[[], object]


def copy_of_client() -> Work:
    """The client's way from arguments to frames, by modules that nobody else uses."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "warmfork"]:
        del sys.modules[name]
    exchange = importlib.import_module("warmfork.exchange")
    messages = importlib.import_module("warmfork.wire.messages")
    nothing = dict.fromkeys(
        ("variables", "files", "stdin", "timeout_s", "deadline_s", "memory_bytes", "policy", "template", "rc", "job_id")
    )

    def work() -> object:
        return messages.encode_request(exchange.build_request("print(1+1)", formats=("png",), **nothing))

    for _ in range(_WARM_UP):
        work()
    return work


def spin(seconds: float) -> None:
    """Keep the processor, and use next to nothing of its caches."""
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        pass


def cost_us(steps: Sequence[Work], rounds: int, pause: Callable[[float], object] | None) -> list[float]:
    """Median of each of these steps, made one after the other after a pause."""
    taken: list[list[float]] = []
    for _ in range(rounds):
        if pause is not None:
            pause(PAUSE_S)
        stamps = [time.perf_counter()]
        for step in steps:
            step()
            stamps.append(time.perf_counter())
        taken.append([1e6 * (after - before) for before, after in pairwise(stamps)])
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    first, second = copy_of_client(), copy_of_client()
    for name, pause in (("in a loop", None), ("after 40 ms asleep", time.sleep), ("after 40 ms busy", spin)):
        print(f"{name:20} A {cost_us([first], rounds, pause)[0]:6.1f} us")
    before_us, own_us, again_us = cost_us([first, second, second], rounds, time.sleep)
    print(f"after 40 ms asleep   A {before_us:6.1f} us, then B {own_us:6.1f}, then B again {again_us:6.1f}")


if __name__ == "__main__":
    main()

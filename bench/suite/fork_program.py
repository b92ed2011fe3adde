"""Forks itself, as a program: ``fork_program.py TIMES LIBRARIES(0|1) CODE``; prints what one fork took, as JSON."""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from typing import Final

_LIBRARIES: Final = ("matplotlib.pyplot", "numpy", "pandas", "seaborn")
_WARM_UP: Final = 10


def fork_once(code: str = "") -> dict[str, float]:
    """Fork, run the code in the child, leave, wait.

    Returns:
        Seconds: ``fork_s`` of the call alone, ``taken_s`` until the child is reaped, ``cpu_s`` of both sides; page faults:
        ``faults`` of the child, ``own_faults`` of this process, which finds its pages shared.
    """
    before, started_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    child = os.fork()
    if not child:
        if code:
            exec(compile(code, "<job>", "exec"), {"__name__": "__main__"})
        os._exit(0)
    forked_s = time.perf_counter()
    _, _, spent = os.wait4(child, 0)
    ended_s, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    own_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "fork_s": forked_s - started_s,
        "taken_s": ended_s - started_s,
        "cpu_s": own_s + spent.ru_utime + spent.ru_stime,
        "faults": spent.ru_minflt,
        "own_faults": after.ru_minflt - before.ru_minflt,
    }


def main() -> None:
    """Measure and print."""
    times, libraries, code = int(sys.argv[1]), bool(int(sys.argv[2])), sys.argv[3]
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # or BLAS has a thread, and no fork is safe
    if libraries:
        for name in _LIBRARIES:
            importlib.import_module(name)
    # The first compilation of a process makes some hundred types of syntax nodes: each child would, anew.
    exec(compile("0", "<job>", "exec"))
    # And each child inherits how near the next collection is, and may begin it.
    gc.collect()
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a child prints goes nowhere
    for _ in range(_WARM_UP):
        fork_once(code)
    found = [fork_once(code) for _ in range(times)]
    json.dump(
        {
            "fork_s": [one["fork_s"] for one in found],
            "taken_s": [one["taken_s"] for one in found],
            "cpu_s": sum(one["cpu_s"] for one in found) / times,
            "faults": sum(one["faults"] + one["own_faults"] for one in found) / times,
        },
        answer,
    )
    answer.flush()


if __name__ == "__main__":
    main()

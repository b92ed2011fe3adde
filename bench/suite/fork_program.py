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


def fork_once(code: str) -> tuple[float, float]:
    """Seconds of the fork call, and until the child is reaped."""
    started_s = time.perf_counter()
    child = os.fork()
    if not child:
        if code:
            exec(compile(code, "<job>", "exec"), {"__name__": "__main__"})
        os._exit(0)
    forked_s = time.perf_counter()
    os.waitpid(child, 0)
    return forked_s - started_s, time.perf_counter() - started_s


def spent() -> tuple[float, int]:
    """CPU seconds and page faults of this process and its reaped children."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both), sum(one.ru_minflt for one in both)


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
    cpu_s, faults = spent()
    found = [fork_once(code) for _ in range(times)]
    after_cpu_s, after_faults = spent()
    json.dump(
        {
            "fork_s": [fork_s for fork_s, _ in found],
            "taken_s": [taken_s for _, taken_s in found],
            "cpu_s": (after_cpu_s - cpu_s) / times,
            "faults": (after_faults - faults) / times,
        },
        answer,
    )
    answer.flush()


if __name__ == "__main__":
    main()

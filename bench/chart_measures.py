"""What each measure takes off a chart: ``PYTHONPATH=client:daemon:worker python bench/chart_measures.py [LETTERS] [ROUNDS]``.

Forks children of one process that is like a template (preloaded, rehearsed, its heap where it is). Each child runs a workload's
code and the tight PNG once; children with and without a measure take turns, so that a busy machine is busy for all. The floor is
such a child that has run the same thing three times before, with matplotlib as it is: warm in one process. Lower quartiles of
CPU time (faults included), which suffers least from what else runs.
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, Final

os.environ.update(MPLBACKEND="agg", OPENBLAS_NUM_THREADS="1")

from warmfork.cli.bench_workloads import ALL, Workload
from warmfork_worker.drawing import prepare_drawing, want_shortcuts
from warmfork_worker.hot_pages import HotPages, Learner
from warmfork_worker.png import ChartFile, write_charts_fast
from warmfork_worker.preload import modules_for, preload
from warmfork_worker.rehearsal import rehearse
from warmfork_worker.text_layout import keep_layouts
from warmfork_worker.tick_passes import find_ticks_once

_WARM_RUNS: Final = 3


def run(workload: Workload) -> None:
    """The code, and its figure as its caller gets it."""
    exec(compile(workload.code, "<job>", "exec"), {"__name__": "__main__"})
    if workload.formats:
        figure: Any = sys.modules["matplotlib.pyplot"].gcf()
        figure.savefig(ChartFile(), format="png", bbox_inches="tight")


def forked(before: Callable[[], object], job: Callable[[], object]) -> dict[str, float]:
    """CPU milliseconds, of these in the kernel, wall milliseconds and faults of ``job`` in a child, after ``before``."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        sys.stdout = io.StringIO()
        before()
        start, started_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        job()
        wall_s, end = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_SELF)
        kernel_s = end.ru_stime - start.ru_stime
        row = {
            "cpu_ms": (end.ru_utime - start.ru_utime + kernel_s) * 1e3,
            "kernel_ms": kernel_s * 1e3,
            "wall_ms": wall_s * 1e3,
            "faults": end.ru_minflt - start.ru_minflt,
        }
        os.write(writing, json.dumps(row).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer: dict[str, float] = json.loads(told.read())
    os.wait()
    return answer


def learn() -> HotPages:
    """As a template does."""
    learner = Learner(lambda: None)
    while learner.read():
        pass
    pages = learner.pages()
    assert pages is not None
    return pages


def main() -> None:
    """Measure and print."""
    letters = sys.argv[1] if len(sys.argv) > 1 else "CSZD"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    want_shortcuts(False)
    preload(modules_for("science", ()))
    prepare_drawing(())
    rehearse()
    gc.collect()
    gc.freeze()
    pages = learn()
    shortcuts = (keep_layouts, find_ticks_once, write_charts_fast)

    def nothing() -> None:
        """Before a child as it is."""

    def all_shortcuts() -> None:
        for switch_on in shortcuts:
            switch_on()

    for letter in letters:
        workload = ALL[letter]
        code = workload.code.encode()

        def warm(workload: Workload = workload) -> None:
            for _ in range(_WARM_RUNS):
                run(workload)
                sys.modules["matplotlib.pyplot"].close("all")

        def plain(workload: Workload = workload) -> None:
            run(workload)

        def hot(workload: Workload = workload, code: bytes = code) -> None:
            pages.populate_for(code)
            run(workload)

        systems: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "warm in one process": (warm, plain),
            "as it is": (nothing, plain),
            "layouts kept": (keep_layouts, plain),
            "ticks found once": (lambda: (keep_layouts(), find_ticks_once()), plain),
            "cheaper PNG": (all_shortcuts, plain),
            "hot pages, too": (all_shortcuts, hot),
        }
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
        for _ in range(rounds):
            for name, (before, job) in systems.items():
                rows[name].append(forked(before, job))
        floor = quartile(rows["warm in one process"], "cpu_ms")
        for name, found in rows.items():
            told = "  ".join(f"{key} {quartile(found, key):8.1f}" for key in found[0])
            print(f"{letter} {name:22} {told}  cpu / floor {quartile(found, 'cpu_ms') / floor:.2f}", flush=True)


def quartile(rows: list[dict[str, float]], key: str) -> float:
    """The lower one."""
    return sorted(row[key] for row in rows)[len(rows) // 4]


if __name__ == "__main__":
    main()

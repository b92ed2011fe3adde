"""What each measure takes off a chart: ``PYTHONPATH=client:daemon:worker python bench/chart_measures.py [LETTERS] [ROUNDS]``.

Forks children of one process that is like a template (preloaded, rehearsed, its heap where it is). Each child runs a workload's
code and the tight PNG once; children with and without a measure take turns, so that a busy machine is busy for all. Lower
quartiles of CPU time (faults included), which suffers least from what else runs.

The floor, "warm in one process", is the suite's: ``bench.suite.job`` over and over in one process for each workload. It has
loaded the same libraries, and matplotlib in it is as it was installed: it was forked before this process was given the fonts, the
watch over saved figures or any shortcut. Its first three runs do not count. Of ours it has the Chinese font alone, for Z.

"As it is" is a child with what every job has: font fallback, kept faces and the watch over saved figures, no further measure.
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
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by its path, this finds bench/ alone
os.environ.update(MPLBACKEND="agg", OPENBLAS_NUM_THREADS="1")

from bench.suite import job as plain_job

from warmfork.cli.bench_workloads import ALL, Workload
from warmfork_worker.drawing import prepare_drawing, want_shortcuts
from warmfork_worker.hot_pages import CHART, HotPages
from warmfork_worker.learner import Learner
from warmfork_worker.png import ChartFile, write_charts_fast
from warmfork_worker.preload import modules_for, preload
from warmfork_worker.rehearsal import rehearse
from warmfork_worker.text_layout import keep_layouts
from warmfork_worker.tick_passes import find_ticks_once

_WARM_RUNS: Final = 3
_FLOOR: Final = "warm in one process"


def run(workload: Workload) -> None:
    """The code, and its figure as its caller gets it."""
    exec(compile(workload.code, "<job>", "exec"), {"__name__": "__main__"})
    if workload.formats:
        figure: Any = sys.modules["matplotlib.pyplot"].gcf()
        figure.savefig(ChartFile(), format="png", bbox_inches="tight")


def measured(job: Callable[[], object]) -> dict[str, float]:
    """CPU milliseconds of a job in this process, of these in the kernel, wall milliseconds and faults."""
    start, started_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    job()
    wall_s, end = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_SELF)
    kernel_s = end.ru_stime - start.ru_stime
    return {
        "cpu_ms": (end.ru_utime - start.ru_utime + kernel_s) * 1e3,
        "kernel_ms": kernel_s * 1e3,
        "wall_ms": wall_s * 1e3,
        "faults": end.ru_minflt - start.ru_minflt,
    }


class Floor:
    """One workload, warm in one process, which is forked from this one and keeps what it has of it."""

    def __init__(self, workload: Workload) -> None:
        here, there = os.pipe(), os.pipe()
        if os.fork() == 0:
            os.close(here[1])
            os.close(there[0])
            self._serve(workload, here[0], there[1])
            os._exit(0)
        os.close(here[0])
        os.close(there[1])
        self._asking, self._answers = here[1], os.fdopen(there[0])

    @staticmethod
    def _serve(workload: Workload, asked: int, answers: int) -> None:
        """A run for each byte that comes; closing the figures is not measured."""
        for number in range(-_WARM_RUNS, sys.maxsize):
            if number >= 0 and not os.read(asked, 1):
                return
            row = measured(lambda: plain_job.run_job(workload.code, ("png",) if workload.formats else ()))
            plain_job.forget_figures()
            if number >= 0:
                os.write(answers, json.dumps(row).encode() + b"\n")

    def run(self) -> dict[str, float]:
        """Once, as ``measured``."""
        os.write(self._asking, b"x")
        row: dict[str, float] = json.loads(self._answers.readline())
        return row


def forked(before: Callable[[], object], job: Callable[[], object]) -> dict[str, float]:
    """``job`` as ``measured``, in a child, after ``before``."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        sys.stdout = io.StringIO()
        before()
        os.write(writing, json.dumps(measured(job)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer: dict[str, float] = json.loads(told.read())
    os.waitpid(child, 0)
    return answer


def learn() -> HotPages:
    """As a template does."""
    learner = Learner(lambda: None, CHART)
    while learner.read():
        pass
    learnt = learner.learnt()
    assert learnt is not None
    return HotPages(learnt.written)


def main() -> None:
    """Measure and print."""
    letters = sys.argv[1] if len(sys.argv) > 1 else "CSZD"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    want_shortcuts(False)
    preload(modules_for("science", ()))
    floors = {letter: Floor(ALL[letter]) for letter in letters}
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

        def plain(workload: Workload = workload) -> None:
            run(workload)

        def hot(workload: Workload = workload, code: bytes = code) -> None:
            pages.populate_for(code)
            run(workload)

        systems: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "as it is": (nothing, plain),
            "layouts kept": (keep_layouts, plain),
            "ticks found once": (lambda: (keep_layouts(), find_ticks_once()), plain),
            "cheaper PNG": (all_shortcuts, plain),
            "hot pages, too": (all_shortcuts, hot),
        }
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in (_FLOOR, *systems)}
        for _ in range(rounds):
            rows[_FLOOR].append(floors[letter].run())
            for name, (before, job) in systems.items():
                rows[name].append(forked(before, job))
        floor = quartile(rows[_FLOOR], "cpu_ms")
        for name, found in rows.items():
            told = "  ".join(f"{key} {quartile(found, key):8.1f}" for key in found[0])
            print(f"{letter} {name:22} {told}  cpu / floor {quartile(found, 'cpu_ms') / floor:.2f}", flush=True)


def quartile(rows: list[dict[str, float]], key: str) -> float:
    """The lower one."""
    return sorted(row[key] for row in rows)[len(rows) // 4]


if __name__ == "__main__":
    main()

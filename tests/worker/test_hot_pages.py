"""The pages that drawing writes to are learnt in a child and copied in bulk in a worker."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.support import run_alone

from warmfork_worker.hot_pages import HotPages, can_populate
from warmfork_worker.kernel.numbers import MACHINES
from warmfork_worker.kernel.rules import PIDFD_SELF, rules
from warmfork_worker.learner import Learner, Lesson, Vectors

needs_kernel = pytest.mark.skipif(not can_populate(), reason="this kernel has no PIDFD_SELF")

# A process of its own: how much memory a child copies depends on all that its parent ever did.
PROGRAM = """
import gc, json, os, resource
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot
from warmfork_worker import hot_pages, learner

hot_pages.draw_chart()
gc.collect(); gc.freeze()
learning = learner.Learner(lambda: None, hot_pages.CHART)
while learning.read():
    pass
pages = hot_pages.HotPages(learning.learnt().written)

def faults_of_chart(code):
    reading, writing = os.pipe()
    if os.fork() == 0:
        copied = pages.populate_for(code)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        hot_pages.draw_chart()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        os.write(writing, json.dumps([copied, faults]).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 1000))

print(json.dumps({"none": faults_of_chart(b"print(1)"), "chart": faults_of_chart(b"import pylab"),
                  "bytes": sum(pages.chart[1::2])}))
"""


@needs_kernel
def test_copied_pages_do_not_fault() -> None:
    """Code that draws has what it will write to copied before, and then meets a fraction of the faults."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=100, env=environment
    )
    found = json.loads(ended.stdout)
    nothing_copied, all_faults = found["none"]
    copied, few_faults = found["chart"]
    assert 0 == nothing_copied
    assert copied > 0.9 * found["bytes"] > 0
    assert few_faults < 0.5 * all_faults


JOB_PROGRAM = """
import gc, json, os, resource, sys
from warmfork_worker import entry, hot_pages, learner, lessons
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.policy import Guard
from warmfork_worker.slots import Slot

guard, slot = Guard(()), Slot(os.getcwd(), os.getcwd(), -1)
entry.settle(guard, slot.work_dir, slot.temp_dir)
entry.warm_up(guard, slot)
gc.collect(); gc.freeze()
lesson = lessons.job_lesson(entry.WorkerSetup(os.getpid(), None, None, guard, ""), slot)
learning = learner.Learner(lambda: None, lesson)
while learning.read():
    pass
steps = Steps()
hot_pages.add_populate(steps, learning.learnt())

def faults_of_job(wanted):
    reading, writing = os.pipe()
    first = Steps()
    lesson.arrange(first)
    if os.fork() == 0:
        first.run()
        if wanted:
            steps.run()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        lesson.work()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        os.write(writing, b"%d" % faults)
        os._exit(0)
    os.wait()
    return int(os.read(reading, 100))

print(json.dumps([faults_of_job(False), faults_of_job(True)]), file=sys.__stdout__, flush=True)
"""


@needs_kernel
def test_a_job_finds_its_pages_copied() -> None:
    """What a worker meets up to its report is there beforehand: three quarters of its faults at least are gone."""
    without, with_copies = json.loads(run_alone(JOB_PROGRAM))
    assert with_copies < 0.25 * without


def test_a_lesson_that_fails_teaches_what_it_came_to() -> None:
    """A child whose work raises an exception tells what it had written to until then, and leaves."""
    block = mmap.mmap(-1, 64 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))

    def work() -> None:
        block[: 32 * mmap.PAGESIZE] = bytes(32 * mmap.PAGESIZE)
        raise ZeroDivisionError

    learner = Learner(lambda: None, Lesson(lambda _first: (), work))
    while learner.read():
        pass
    learnt = learner.learnt()
    assert learnt is not None
    written = learnt.written
    ranges = list(zip(written[::2], written[1::2], strict=True))
    assert any(first <= start and start + 32 * mmap.PAGESIZE <= first + size for first, size in ranges)


def _pages(*words: int) -> HotPages:
    return HotPages((ctypes.c_size_t * len(words))(*words))


@needs_kernel
def test_what_is_not_mapped_is_left() -> None:
    """A range that this process does not have is no error: it has nothing to copy there."""
    assert 0 == _pages(0x1000, 0x1000).populate_for(b"plt.show()")


@pytest.mark.parametrize(
    ("code", "draws"),
    [
        (b"import matplotlib.pyplot as plt", True),
        (b"sns.heatmap(x)", True),
        (b"frame.plot()", True),
        (b"import pandas", False),
        (b"print('a plot of land')", False),
        (b"exploit = 1", False),
    ],
)
def test_code_is_seen_to_draw(code: bytes, draws: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of plotting libraries and methods tell drawing, all else does not."""
    pages = _pages()
    seen: list[Vectors] = []

    def populate(vectors: Vectors) -> int:
        seen.append(vectors)
        return 0

    monkeypatch.setattr("warmfork_worker.hot_pages._populate", populate)
    pages.populate_for(code)
    assert ([pages.chart] if draws else []) == seen


def test_broken_words_are_nothing() -> None:
    """What the child did not tell whole is nothing."""
    learner = Learner.__new__(Learner)
    learner._told = bytearray((2).to_bytes(8, sys.byteorder) + bytes(11))
    assert learner.learnt() is None


def _die() -> None:
    os._exit(3)


@pytest.mark.parametrize(("before", "work"), [(lambda: None, _die), (_die, lambda: None)], ids=["pupil", "looker"])
def test_one_that_dies_teaches_nothing(before: Callable[[], None], work: Callable[[], None]) -> None:
    """Whichever of the two children ends first, nothing is learnt, nobody waits, and both are reaped."""
    learner = Learner(before, Lesson(lambda _first: (), work))
    while learner.read():
        pass
    assert learner.learnt() is None
    for pid in learner._pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


@pytest.mark.parametrize("machine", MACHINES)
def test_guard_lets_only_own_pages(machine: str) -> None:
    """The table names process_madvise, bound to the caller itself."""
    rule = next(rule for rule in rules(file_exec=True) if "process_madvise" in rule.names)
    ((check,),) = rule.ways
    assert (0, (PIDFD_SELF & 0xFFFFFFFF,), 0xFFFFFFFF) == (check.argument, check.values, check.mask)
    assert "process_madvise" in MACHINES[machine].numbers

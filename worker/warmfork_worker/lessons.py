"""What children of a settled template do to find out which of its pages workers meet, and what is made of it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Final

from warmfork_worker import randomness
from warmfork_worker.channel import read_order, send_report
from warmfork_worker.entry import WorkerSetup
from warmfork_worker.hot_pages import CHART, HotPages, add_populate, can_populate
from warmfork_worker.kernel.rlimits import set_for_job
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.learner import Learnt, Lesson
from warmfork_worker.run import dry_run, order_for, run_job
from warmfork_worker.slots import Slot

_STANDARD_FDS_MAX: Final = 2


def lessons_for(setup: WorkerSetup, *, wanted: bool) -> list[Lesson]:
    """What is to be learnt for these workers: of any job, where they all have their directories in one place, and of charts.

    Nothing where it is not wanted, or where the kernel could do nothing with it.
    """
    lessons: list[Lesson] = []
    if not wanted or not can_populate():
        return lessons
    places = setup.slots.places
    if places is not None and setup.steps is not None:
        lessons.append(job_lesson(setup, Slot(places.work_dir, places.temp_dir, -1)))
    if "matplotlib.figure" in sys.modules:
        lessons.append(CHART)
    return lessons


def taught(setup: WorkerSetup, lesson: Lesson, learnt: Learnt | None) -> WorkerSetup:
    """The setup with what this lesson told. Without it faults come one by one."""
    if learnt is None:
        return setup
    if lesson is CHART:
        return replace(setup, hot_pages=HotPages(learnt.written))
    if setup.steps is not None:
        add_populate(setup.steps, learnt)
    return setup


def job_lesson(setup: WorkerSetup, slot: Slot) -> Lesson:
    """What a worker does from its birth to its report of a trivial job, for a child that is nobody's worker."""
    reading = -1

    def arrange(first: Steps) -> list[int]:
        nonlocal reading
        reading, writing = os.pipe()
        os.write(writing, order_for(b"print(1 + 1)"))
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in range(_STANDARD_FDS_MAX + 1):
            first.add("dup3", nothing, fd, 0)
        return [reading, writing, nothing]

    def work() -> None:
        randomness.reseed()
        dry_run(setup.guard, slot)
        order = read_order(reading)
        assert order is not None
        set_for_job(order.address_bytes, order.cpu_s)
        send_report(_STANDARD_FDS_MAX, run_job(order, setup.guard, slot, setup.cjk_family))

    return Lesson(arrange, work)

"""What children of a settled template do to find out which of its pages workers write to, and what is made of it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Final

from warmfork_worker import randomness
from warmfork_worker.channel import read_order, send_report
from warmfork_worker.entry import WorkerSetup
from warmfork_worker.hot_pages import CHART, HotPages, Lesson, Vectors, add_populate, can_populate
from warmfork_worker.kernel.rlimits import set_for_job
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


def taught(setup: WorkerSetup, lesson: Lesson, pages: Vectors | None) -> WorkerSetup:
    """The setup with what this lesson told. Without pages faults come one by one."""
    if pages is None:
        return setup
    if lesson is CHART:
        return replace(setup, hot_pages=HotPages(pages))
    if setup.steps is not None:
        add_populate(setup.steps, pages)
    return setup


def job_lesson(setup: WorkerSetup, slot: Slot) -> Lesson:
    """What a worker does with a trivial job, from its order to its report, for a child that is nobody's worker."""
    reading, writing = -1, -1

    def prepare() -> None:
        nonlocal reading, writing
        reading, writing = os.pipe()
        os.write(writing, order_for(b"print(1 + 1)"))
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in range(_STANDARD_FDS_MAX + 1):
            os.dup2(nothing, fd)
        randomness.reseed()
        dry_run(setup.guard, slot)

    def work() -> None:
        order = read_order(reading)
        assert order is not None
        set_for_job(order.address_bytes, order.cpu_s)
        send_report(_STANDARD_FDS_MAX, run_job(order, setup.guard, slot, setup.cjk_family))

    return Lesson(prepare, work)

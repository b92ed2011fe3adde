"""What children of a settled template do to find out which of its pages workers meet, and what is made of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from warmfork.wire import control
from warmfork.wire.limits import MIB
from warmfork_worker import randomness
from warmfork_worker.channel import read_order, send_report
from warmfork_worker.entry import WorkerSetup
from warmfork_worker.hot_pages import CHART, HotPages, add_populate, can_populate
from warmfork_worker.kernel.rlimits import set_for_job
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.learner import Learner, Learnt, Lesson
from warmfork_worker.run import dry_run, order_for, run_job
from warmfork_worker.slots import Slot

_STANDARD_FDS_MAX: Final = 2


class Lessons:
    """All lessons of a template: of any job, where its workers have their directories in one place, and of charts.

    Args:
        setup: of its workers.
        wanted: False to learn nothing.
    """

    def __init__(self, setup: WorkerSetup, *, wanted: bool) -> None:
        self._left: list[Lesson] = []
        self._bytes = 0
        self._why_not = "switched off (pool.hot_pages)" if not wanted else ""
        if wanted and not can_populate():
            self._why_not = "this kernel copies no ranges of one's own pages at a word (PIDFD_SELF, Linux 6.14)"
        if self._why_not:
            return
        places = setup.slots.places
        if places is not None and setup.steps is not None:
            self._left.append(job_lesson(setup, Slot(places.work_dir, places.temp_dir, -1)))
        if "matplotlib.figure" in sys.modules:
            self._left.append(CHART)

    def begin(self, before: Callable[[], None], not_for_pupil: Sequence[int]) -> Learner | None:
        """Have children do the next lesson; None where none is left.

        Args:
            before, not_for_pupil: see ``Learner``.
        """
        while self._left:
            try:
                return Learner(before, self._left[0], not_for_pupil)
            except OSError as problem:  # no child to be had: faults come one by one
                self._why_not = f"no child to learn by: {problem}"
                del self._left[0]
        return None

    def taught(self, setup: WorkerSetup, learnt: Learnt | None) -> WorkerSetup:
        """The setup with what the lesson told that was begun last. Without it faults come one by one."""
        lesson = self._left.pop(0)
        if learnt is None:
            self._why_not = "a child that was to learn ended before it had"
            return setup
        self._bytes += sum(learnt.written[1::2])
        if lesson is CHART:
            return replace(setup, hot_pages=HotPages(learnt.written))
        if setup.steps is not None:
            add_populate(setup.steps, learnt)
        return setup

    @property
    def measure(self) -> control.Measure:
        """What came of it."""
        if not self._bytes:
            return control.Measure("pages", 0, self._why_not or "there is nothing that every worker meets at one place")
        also = f"; not all: {self._why_not}" if self._why_not else ""
        return control.Measure("pages", self._bytes, f"{self._bytes / MIB:.1f} MiB{also}")


def job_lesson(setup: WorkerSetup, slot: Slot) -> Lesson:
    """What a worker does from its birth to its report of a trivial job, for a child that is nobody's worker."""
    reading = -1

    def arrange(first: Steps) -> list[int]:
        nonlocal reading
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            reading, writing = os.pipe()
        except OSError:
            os.close(nothing)
            raise
        os.write(writing, order_for(b"print(1 + 1)"))
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

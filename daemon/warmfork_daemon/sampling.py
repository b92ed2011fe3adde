"""The watch over busy workers: memory, disk and output, looked at again and again while any job runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from warmfork_daemon import disk_watch
from warmfork_daemon.config import Config
from warmfork_daemon.guarding import SPARE_FILES
from warmfork_daemon.job import Job, JobKey
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import Reactor, Timer, monotonic_s
from warmfork_daemon.worker import KillReason, Worker

log = logging.getLogger("warmfork.sampling")

_DISK_INTERVAL_S: Final = 0.25
_UNSEEN_S: Final = 0.5  # meanwhile RLIMIT_AS bounds it


class Sampler:
    """Looks at every busy worker each ``limits.memory_sample_ms``, and kills those that are past a limit.

    Args:
        reactor: the event loop.
        busy: workers that run a job.
        config: gives the configuration of the moment.
    """

    def __init__(self, reactor: Reactor, busy: Mapping[JobKey, Worker], config: Callable[[], Config]) -> None:
        self._reactor = reactor
        self._busy = busy
        self._config = config
        self._timer: Timer | None = None

    def begin(self) -> None:
        """A job runs."""
        if self._timer is None:
            self._timer = self._reactor.call_later(self._config().limits.memory_sample_ms / 1000, self._look)

    def end(self) -> None:
        """A job is over."""
        if not self._busy and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if not self._busy:
            return
        self.begin()
        for worker in list(self._busy.values()):
            try:
                self._look_at(worker)
            except Exception as problem:  # one worker's trouble must not end the watch over the others
                log.exception("worker not looked at", extra=told(worker=worker.pid, problem=problem))

    def _look_at(self, worker: Worker) -> None:
        """Memory, and what its output piles up: both bound what a job can take meanwhile."""
        worker.drain()
        if worker.streaming is not None:
            worker.streaming.push()
        job = worker.job
        if job is None or worker.report is not None:
            return
        used = worker.sample()
        if used is None:
            self._mind_unseen(worker)
        else:
            worker.unseen_since_s = 0.0
            if used > job.memory_bytes:
                worker.kill(KillReason.MEMORY)
        if worker.slot_path:
            self._look_at_disk(worker, job)

    def _mind_unseen(self, worker: Worker) -> None:
        """Kill a worker whose memory cannot be seen for long.

        Not at once: one that the kernel has just killed looks the same while its memory is taken down, and its end must
        be put down to what ended it.
        """
        now_s = monotonic_s()
        worker.unseen_since_s = worker.unseen_since_s or now_s
        if now_s - worker.unseen_since_s > _UNSEEN_S and worker.alive():
            worker.kill(KillReason.BAD_REPORT, "its first thread ended, so its memory could not be watched")

    def _look_at_disk(self, worker: Worker, job: Job) -> None:
        now_s = monotonic_s()
        if now_s - worker.disk_looked_s < _DISK_INTERVAL_S:
            return
        worker.disk_looked_s = now_s
        bounds = self._config().limits
        entries_max = bounds.files_max + SPARE_FILES
        kept = disk_watch.measure(worker.slot_path, entries_max)
        if kept.entries > entries_max or kept.bytes_ > bounds.disk_bytes + job.input_bytes:
            worker.kill(KillReason.DISK)

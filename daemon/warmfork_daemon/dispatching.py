"""From the queue to the workers: who runs next, and who has waited too long."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork_daemon.job import Job
from warmfork_daemon.logs import told
from warmfork_daemon.pools import Pools
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.runner import JobRunner
from warmfork_daemon.templates import LIGHT_NAME
from warmfork_daemon.worker import Worker

log = logging.getLogger("warmfork.dispatching")

_EXPIRY_TURN_S: Final = 0.25
_LIGHT_WAIT_S: Final = 0.5  # a worker is forked in milliseconds


class Dispatcher:
    """Gives queued jobs to idle workers.

    Args:
        reactor: the event loop.
        pools: where workers come from.
        queue: where jobs wait.
        runner: sends a job to a worker.
        running_max: how many may run at the same time, by the configuration of the moment.
        may_run: whether the guard of a template of this name is proved.
        answer: answers a job that did not run: job, verdict, kind, message.
    """

    def __init__(
        self,
        reactor: Reactor,
        pools: Pools,
        queue: JobQueue,
        runner: JobRunner,
        *,
        running_max: Callable[[], int],
        may_run: Callable[[str], bool],
        answer: Callable[[Job, Any, str, str], None],
    ) -> None:
        self._reactor = reactor
        self._pools = pools
        self._queue = queue
        self._runner = runner
        self._running_max = running_max
        self._may_run = may_run
        self._answer = answer
        self._expiry_planned = self._light_given_up = False

    def dispatch_at_once(self, job: Job) -> bool:
        """Send a job that does not wait to an idle worker. False where it has to wait.

        With nobody before it and a worker for it, it would leave the queue as it came: whoever waits there takes turns, and
        whoever does not is not counted.
        """
        if len(self._queue) or self._runner.running >= self._running_max() or not self._may_run(job.line):
            return False
        pool = self._pools[job.line]
        if not pool.roster.idle_count:
            return False  # ``dispatch`` tells the pool
        worker = pool.take_idle()
        return worker is not None and self._send(worker, job)

    def dispatch(self) -> None:
        """Send jobs for as long as there is one that may run and a worker for it."""
        short = {pool.spec.name for pool in self._pools if not self._may_run(pool.spec.name)}
        if LIGHT_NAME in short:
            self.give_up_light()
        while len(self._queue) and self._runner.running < self._running_max():
            line = self._queue.oldest(besides=short)
            if line is None:
                return
            worker = self._pools[line].take_idle()
            if worker is None:
                self._pools[line].replenish()  # jobs wait: the pause after a reply is no use now
                short.add(line)
                continue
            job = self._queue.take(line)
            assert job is not None
            if not self._send(worker, job):
                self._queue.put_back(job)

    def _send(self, worker: Worker, job: Job) -> bool:
        """Send the job to this worker, or answer it. False when the worker turned out dead."""
        try:
            return self._runner.run(worker, job)
        except Exception as problem:  # one job's loss, never the daemon's, and no other job's
            log.exception("job not sent to a worker", extra=told(job=job.request.id.hex(), problem=problem))
            self._pools.of(worker).retire(worker)
            why = str(problem) or type(problem).__name__
            self._answer(job, "lost", "NotSent", f"The job could not be sent to a worker: {why}. It did not run.")
            return True

    def dispatch_soon(self) -> None:
        """Dispatch once whoever calls has returned: a job that ends makes room, and often nothing else says so."""
        if len(self._queue):
            self._reactor.call_later(0.0, self.dispatch)

    def give_up_light(self) -> None:
        """Let the jobs that wait for the default template's companion wait for that template itself."""
        moved = self._queue.merge(LIGHT_NAME, TEMPLATE_DEFAULT)
        if moved and not self._light_given_up:
            self._light_given_up = True  # said once
            log.warning("light workers do not come, jobs run without them", extra=told(jobs=moved))

    def _look_after_light(self) -> None:
        """Where there is room and a light job waits all the same, its workers do not come: they fail, or the template hangs."""
        if self._runner.running >= self._running_max():
            return
        late_s = monotonic_s() - _LIGHT_WAIT_S
        if any(job.line == LIGHT_NAME and job.submitted_s < late_s for job in self._queue.jobs):
            self.give_up_light()
            self.dispatch()

    def look_after_the_waiting(self) -> None:
        """See to it that what waits too long is answered."""
        if len(self._queue) and not self._expiry_planned:
            self._expiry_planned = True
            self._reactor.call_later(_EXPIRY_TURN_S, self._expire)

    def _expire(self) -> None:
        self._expiry_planned = False
        self._look_after_light()
        for job in self._queue.take_expired(monotonic_s()):
            waited_s = monotonic_s() - job.submitted_s
            shortage = self._pools[job.template].shortage
            message = (
                f"The job waited {waited_s:.1f} s for a worker, as long as it may; it did not run. Try again later."
                + (f" At the moment {shortage}." if shortage else "")
            )
            self._answer(job, "rejected", "QueueWait", message)
        self.look_after_the_waiting()

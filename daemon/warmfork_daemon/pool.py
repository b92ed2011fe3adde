"""The template and its workers: started, forked ahead, counted, retired and forgotten; never more, never fewer.

The pool knows nothing of jobs beyond "this worker is busy". It forks a replacement only after the reply has left (a
pause after ``retire``), at once when jobs wait and nobody is idle, and ever more slowly while workers fail to enter.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmfork.trees import wipe_tree
from warmfork.wire import control
from warmfork.wire.records import TemplateInfo
from warmfork_daemon.config import Config
from warmfork_daemon.reactor import Reactor, Timer
from warmfork_daemon.template_link import TemplateLink
from warmfork_daemon.worker import State, Worker, make_worker

log = logging.getLogger("warmfork.pool")

TEMPLATE_NAME: Final = "science"
_BACKOFF_S: Final = 0.1
_BACKOFF_S_MAX: Final = 10.0
_LEAVE_S: Final = 1.5
_EMPTY_S: Final = 0.02
_READY_BYTES: Final = 1


@dataclass(frozen=True, slots=True)
class PoolEvents:
    """Whom the pool tells what.

    Attributes:
        ready: the template has become ready.
        idle: a worker has become idle.
        channel: a busy worker's channel can be read.
        exited: a busy worker was reaped; its ``status`` is set.
        lost: a busy worker's template died.
        hopeless: the template ended before it was ever ready.
    """

    ready: Callable[[], None]
    idle: Callable[[], None]
    channel: Callable[[Worker], None]
    exited: Callable[[Worker], None]
    lost: Callable[[Worker], None]
    hopeless: Callable[[], None]


class WorkerPool:
    """Keeps a template alive and ``idle_workers`` workers waiting.

    Args:
        reactor: the event loop.
        config: with the pool's numbers resolved.
        slots_dir: directory of the slots; also the template's scratch directory.
        environment: all that the template gets.
        events: whom to tell.
    """

    def __init__(
        self, reactor: Reactor, config: Config, slots_dir: Path, environment: Mapping[str, str], events: PoolEvents
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._slots_dir = slots_dir
        self._environment = environment
        self._events = events
        self._ids = itertools.count(1)
        self._workers: dict[int, Worker] = {}
        self._idle: deque[Worker] = deque()
        self._link: TemplateLink | None = None
        self._start_timer: Timer | None = None
        self._replenish_timer: Timer | None = None
        self._failures = 0
        self._closing = False
        self.template: TemplateInfo | None = None
        self.template_starts = 0
        self.forks = 0

    @property
    def template_pid(self) -> int | None:
        """Of the living template."""
        return None if self._link is None else self._link.pid

    @property
    def workers(self) -> list[Worker]:
        """All that are not gone."""
        return list(self._workers.values())

    @property
    def idle_count(self) -> int:
        """How many wait for a job."""
        return len(self._idle)

    @property
    def busy_count(self) -> int:
        """How many run one."""
        return sum(worker.state is State.BUSY for worker in self._workers.values())

    def start(self) -> None:
        """Start a template; its workers follow once it is ready."""
        Path(self._environment["MPLCONFIGDIR"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self._config
        self.template_starts += 1
        self._link = TemplateLink(
            self._reactor, config.template.python, self._environment, self._on_record, self._on_template_end
        )
        self._start_timer = self._reactor.call_later(config.template.start_timeout_s, self._give_up_start)
        self._link.send(
            control.Start(
                name=TEMPLATE_NAME,
                preload=config.template.preload,
                rehearse=config.template.rehearse,
                font_dirs=config.template.font_dirs,
                slots_dir=str(self._slots_dir),
                nice=config.pool.worker_nice,
                file_bytes_max=config.limits.file_bytes_max,
                open_files_max=config.limits.open_files_max,
                memory_bytes_max=config.limits.memory_bytes_max + config.limits.input_bytes_max,
                cpu_s_max=int(config.limits.timeout_s_max * config.limits.cpu_factor) + 60,
            )
        )

    def _give_up_start(self) -> None:
        log.error("template not ready after %g s; starting another", self._config.template.start_timeout_s)
        if self._link is not None:
            link = self._link
            link.close()
            link.wait(0.0)
            self._on_template_end()

    def take_idle(self) -> Worker | None:
        """The idle worker that has waited longest, busy from now on; None when there is none."""
        if not self._idle:
            return None
        worker = self._idle.popleft()
        worker.state = State.BUSY
        if not self._idle:
            self.replenish_later(_EMPTY_S)  # long jobs may have taken all: the next one should not wait for a fork
        return worker

    def retire(self, worker: Worker) -> None:
        """A busy worker's job is over: kill what is left of it; the slot is wiped when it is reaped.

        Both its end and its replacement cost milliseconds of processor, so both wait until the reply has left.
        """
        worker.state = State.ENDING
        delay_s = self._config.pool.fork_delay_ms / 1000
        if worker.status is None:
            self._reactor.call_later(delay_s, worker.kill)
        else:
            self._forget(worker)
        self.replenish_later(delay_s)

    def replenish_later(self, delay_s: float) -> None:
        """Fork what is missing after a pause; sooner if that was planned already."""
        if self._replenish_timer is None:
            self._replenish_timer = self._reactor.call_later(delay_s, self.replenish)

    def replenish(self) -> None:
        """Fork workers until as many as wanted wait or are on their way."""
        if self._replenish_timer is not None:
            self._replenish_timer.cancel()
            self._replenish_timer = None
        if self.template is None or self._closing:
            return
        waiting = (State.FORKING, State.ENTERING, State.IDLE)
        missing = self._config.pool.idle_workers - sum(worker.state in waiting for worker in self._workers.values())
        try:
            for _ in range(missing):
                self._fork()
        except OSError as problem:
            log.error("no worker forked: %s", problem)
            self._back_off()

    def _fork(self) -> None:
        limits = self._config.limits
        assert self._link is not None
        worker, fds = make_worker(next(self._ids), secrets.token_hex(8), limits.stdout_bytes, limits.stderr_bytes)
        self._workers[worker.worker_id] = worker
        self.forks += 1
        self._link.send(control.Fork(worker.worker_id, worker.slot), fds)

    def _back_off(self) -> None:
        self._failures += 1
        self.replenish_later(min(_BACKOFF_S * 2**self._failures, _BACKOFF_S_MAX))

    def _on_record(self, record: control.Control, fds: list[int]) -> None:
        if isinstance(record, control.Ready):
            self._on_ready(record)
        elif isinstance(record, control.Forked):
            self._on_forked(record, fds)
        elif isinstance(record, control.ForkFailed):
            log.error("fork failed: %s", record.message)
            worker = self._workers.pop(record.worker_id, None)
            if worker is not None:
                worker.close()
            self._back_off()
        elif isinstance(record, control.Exited):
            self._on_exited(record)

    def _on_ready(self, record: control.Ready) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
        self.template = record.template
        self._failures = 0
        for library in record.template.libraries:
            if library.error:
                log.warning("preload of %s failed: %s", library.name, library.error)
        self._events.ready()
        self.replenish()

    def _on_forked(self, record: control.Forked, fds: list[int]) -> None:
        worker = self._workers.get(record.worker_id)
        if worker is None or len(fds) != 2 or worker.state is not State.FORKING:
            for fd in fds:
                os.close(fd)
            return
        worker.pid = record.pid
        worker.pidfd, worker.work_fd = fds
        worker.state = State.ENTERING
        self._reactor.watch(worker.channel.fileno(), lambda: self._on_channel(worker))

    def _on_channel(self, worker: Worker) -> None:
        if worker.state is State.BUSY:
            self._events.channel(worker)
            return
        try:
            data = worker.channel.recv(_READY_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if data and worker.state is State.ENTERING:
            self._on_entered(worker)
        elif not data:
            self._reactor.unwatch(worker.channel.fileno())  # its exit is reported by the template in a moment

    def _on_entered(self, worker: Worker) -> None:
        try:
            worker.measure_baseline()
        except Exception as problem:  # psutil raises kinds of its own; the process may be gone already
            log.warning("worker %d left before it was measured: %s", worker.pid, problem)
            worker.kill()
            return
        self._failures = 0
        worker.state = State.IDLE
        self._idle.append(worker)
        self._events.idle()

    def _on_exited(self, record: control.Exited) -> None:
        worker = self._workers.get(record.worker_id)
        if worker is None:
            return
        worker.status = record.status
        if worker.state is State.BUSY:
            worker.cpu_s = max(0.0, record.cpu_s - worker.cpu_at_dispatch_s)
            self._events.exited(worker)
        elif worker.state is State.ENDING:
            self._forget(worker)
        else:
            self._mourn(worker)

    def _mourn(self, worker: Worker) -> None:
        """A worker died before it had a job."""
        worker.drain()
        told = worker.stderr.output.text().head.decode("utf-8", "replace").strip()
        log.error(
            "worker %d died while %s (status %s): %s", worker.pid, worker.state.value, worker.status, told[-2_000:]
        )
        if worker in self._idle:
            self._idle.remove(worker)
        entering = worker.state is State.ENTERING
        self._forget(worker)
        if entering:
            self._back_off()
        else:
            self.replenish_later(0.0)

    def _forget(self, worker: Worker) -> None:
        worker.state = State.GONE
        self._close(worker)
        del self._workers[worker.worker_id]
        if self._link is not None:
            self._link.send(control.Release(worker.worker_id))

    def _close(self, worker: Worker) -> None:
        if worker.channel.fileno() >= 0:
            self._reactor.unwatch(worker.channel.fileno())
        if worker.pidfd >= 0:
            self._reactor.unwatch(worker.pidfd)
        worker.close()

    def _on_template_end(self) -> None:
        link, self._link = self._link, None
        was_ready, self.template = self.template is not None, None
        if self._start_timer is not None:
            self._start_timer.cancel()
        status = 0 if link is None else link.wait(_LEAVE_S)
        if not self._closing:
            log.error("template ended with status %d", status)
        for worker in self.workers:
            worker.kill()
            if worker.state is State.BUSY:
                self._events.lost(worker)
            worker.state = State.GONE
            self._close(worker)
        self._workers.clear()
        self._idle.clear()
        self._wipe_slots()
        if self._closing:
            return
        if not was_ready and self.template_starts == 1:
            self._events.hopeless()
            return
        self._failures = 0 if was_ready else self._failures + 1
        self._reactor.call_later(min(_BACKOFF_S * 2**self._failures, _BACKOFF_S_MAX), self._restart)
        # A worker that was dying while its slot was wiped may have written once more.
        self._reactor.call_later(_BACKOFF_S / 2, self._wipe_slots)

    def _restart(self) -> None:
        if not self._closing and self._link is None:
            self.start()

    def _wipe_slots(self) -> None:
        if self._link is not None:
            return
        for entry in list(self._slots_dir.iterdir()):
            wipe_tree(str(entry))

    def close(self) -> None:
        """Let the template kill its workers, wipe their slots and leave; kill it when it does not in time."""
        self._closing = True
        for worker in self.workers:
            worker.kill()
        if self._link is not None:
            self._link.close()
            self._on_template_end()

"""The workers of one template: forked ahead, counted, retired and forgotten; never more, never fewer.

The pool knows nothing of jobs beyond "this worker is busy". It forks a replacement only after the reply has left (a
pause after ``retire``), at once when jobs wait and nobody is idle, and ever more slowly while workers fail to enter.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from warmfork.wire import control
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork_daemon.backoff import Backoff
from warmfork_daemon.config import Config
from warmfork_daemon.demand import Demand
from warmfork_daemon.lifecycle import GENERATION, GenerationEvent, GenerationState, WorkerEvent, step
from warmfork_daemon.lifecycle import WorkerState as State
from warmfork_daemon.logs import told
from warmfork_daemon.pool_events import PoolEvents
from warmfork_daemon.pool_slots import PoolSlots
from warmfork_daemon.reactor import Reactor, Timer, monotonic_s
from warmfork_daemon.roster import Roster
from warmfork_daemon.template_keeper import KeeperEvents, TemplateKeeper
from warmfork_daemon.templates import TemplateSpec
from warmfork_daemon.worker import Worker, make_worker, pid_of

log = logging.getLogger("warmfork.pool")

_BACKOFF_S: Final = 0.1
_BACKOFF_S_MAX: Final = 10.0
_WIPE_AGAIN_S: Final = 0.05
_EMPTY_S: Final = 0.02
_READY_BYTES: Final = 1


class WorkerPool:
    """Keeps a template alive and as many of its workers waiting as are in demand.

    Args:
        reactor: the event loop.
        config: with the pool's numbers resolved.
        spec: the template.
        slots_dir: directory of its slots and of its scratch directory; nobody else's.
        environment: all that the template gets.
        events: whom to tell.
        generation: counted from 1 for each name.

    Attributes:
        spec, generation: as given.
        roster: its workers.
        demand: how many of them are to wait.
        orders: what its template is started with, to be compared with what a new configuration asks for.
        state: where this generation is in its life.
        started_s: when it was made, by the monotonic clock.
        keeper: of the template's process; its state can be read there.
        forks: how many there were.
        shortage: why no worker could be forked when it was tried last; empty since one has become idle.
        settling: the template does not obey for a while, and need not.
        settled: it has rehearsed; its workers start warm.
        as_settled: what the template told when it had settled.
    """

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        spec: TemplateSpec,
        slots_dir: Path,
        environment: Mapping[str, str],
        events: PoolEvents,
        generation: int = 1,
    ) -> None:
        self.generation = generation
        self.state = GenerationState.STARTING
        self.started_s = monotonic_s()
        self._reactor = reactor
        self._config = config
        kept = generation == 1 and spec.name == TEMPLATE_DEFAULT
        self._slots = PoolSlots(reactor, slots_dir, spec.name, in_use=lambda: self.keeper.pid is not None, kept=kept)
        self._events = events
        self._ids = itertools.count(1)
        self.roster = Roster()
        self.demand = Demand(spec.idle_workers, spec.idle_workers_max)
        self.orders: object = None
        self._replenish_timer: Timer | None = None
        self._backoff = Backoff(_BACKOFF_S, _BACKOFF_S_MAX)
        self._closing = False
        self._gone: Callable[[], None] | None = None
        self.spec = spec
        self.keeper = TemplateKeeper(
            reactor,
            config,
            spec,
            slots_dir,
            environment,
            KeeperEvents(
                ready=self._on_ready,
                starting=lambda: self.advance(GenerationEvent.START),
                record=self._on_record,
                ended=self._on_template_end,
                failed=lambda: events.failed(self),
            ),
        )
        self.forks = 0
        self.shortage = ""
        self.settling = self.settled = False
        self.as_settled = control.Settled()

    def _slot_on_disk(self, worker: Worker) -> str:
        """Path of the worker's slot; empty where slots are mounts of their own, which the kernel bounds."""
        mounted = any(layer.active for layer in self.keeper.layers if layer.name == "namespaces")
        return "" if mounted else self._slots.path_of(worker.slot)

    def start(self) -> None:
        """Start the template; its workers follow once it is ready."""
        self.keeper.start()

    def take_idle(self) -> Worker | None:
        """The idle worker that has waited longest, busy from now on; None when there is none."""
        worker = self.roster.take_idle()
        if worker is None:
            self.demand.found_nobody(monotonic_s())
        elif not self.roster.idle_count:
            self.replenish_later(_EMPTY_S)  # long jobs may have taken all: the next one should not wait for a fork
        return worker

    def look_after_demand(self) -> None:
        """Let go of a worker that bursts of jobs asked for, where there were none for a while."""
        self.demand.look(monotonic_s())
        if self.roster.idle_count > self.demand.wanted and (worker := self.roster.take_idle()) is not None:
            self.retire(worker)

    def retire(self, worker: Worker) -> None:
        """A busy worker's job is over: kill what is left of it; the slot is wiped when it is reaped.

        Both its end and its replacement cost milliseconds of processor, so both wait until the reply has left.
        """
        worker.advance(WorkerEvent.RETIRED)
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
        if self.keeper.info is None or self._closing or self.state is GenerationState.DRAINING:
            return
        try:
            for _ in range(self.demand.wanted - self.roster.coming_count):
                self._fork()
        except OSError as problem:
            self._fall_short(f"no worker can be forked: {problem}")

    def _fork(self) -> None:
        limits = self._config.limits
        worker, fds = make_worker(next(self._ids), secrets.token_hex(8), limits.stdout_bytes, limits.stderr_bytes)
        worker.asked_s = monotonic_s()
        self.roster.add(worker)
        self.forks += 1
        self.keeper.send(control.Fork(worker.worker_id, worker.slot), fds)

    def _fall_short(self, shortage: str) -> None:
        if shortage != self.shortage:  # tried again every few seconds: said once
            log.error("no more workers", extra=told(template=self.spec.name, problem=shortage))
        self.shortage = shortage
        self.replenish_later(self._backoff.next_s())

    def _on_record(self, record: control.Control, fds: list[int]) -> None:
        self.settling = isinstance(record, control.Settling)  # whatever else it sends, it obeys again
        if isinstance(record, control.Forked):
            self._on_forked(record, fds)
        elif isinstance(record, control.ForkFailed):
            worker = self.roster.get(record.worker_id)
            if worker is not None:
                worker.advance(WorkerEvent.FORK_FAILED)
                self.roster.remove(worker)
                worker.close()
            self._fall_short(f"the template cannot fork: {record.message}")
            self._tell_if_drained()
        elif isinstance(record, control.Exited):
            self._on_exited(record)
        elif isinstance(record, control.Settled):
            self._on_settled(record)

    def _on_ready(self, record: control.Ready) -> None:
        self._backoff.reset()
        self.settling = self.settled = False
        self.as_settled = control.Settled()
        self.advance(GenerationEvent.CAME_UP)
        self._events.ready(self)
        self.replenish()

    def _on_settled(self, record: control.Settled) -> None:
        """From now on workers start warm: each that comes takes the place of one that was forked before."""
        failed, took = ",".join(record.failed), {measure.name: measure.detail for measure in record.measures}
        log.info("template settled", extra=told(template=self.spec.name, not_rehearsed=failed, **took))
        self.settled, self.as_settled = True, record
        self.roster.mark_cold()
        self.replenish_later(self._config.pool.fork_delay_ms / 1000)
        self._events.idle()

    def _on_forked(self, record: control.Forked, fds: list[int]) -> None:
        worker = self.roster.get(record.worker_id)
        pid = pid_of(fds[0]) if len(fds) == 2 else -1
        if worker is None or worker.state is not State.FORKING or pid < 0:
            for fd in fds:
                os.close(fd)
            if worker is not None and pid < 0:
                worker.channel.close()  # out of descriptors: the worker leaves at the end of its channel, and is reaped
            return
        worker.pidfd, worker.work_fd = fds
        worker.heap_bytes = record.heap_bytes  # not ours: the heap moves a while before the template has settled
        worker.pid = pid  # the record's is the one inside the template's pid namespace
        worker.advance(WorkerEvent.FORKED)
        if self.state is GenerationState.DRAINING:
            self._give_up(worker)
        self._reactor.watch(worker.channel.fileno(), lambda: self._on_channel(worker))

    def _on_channel(self, worker: Worker) -> None:
        if worker.state is State.BUSY:
            self._events.channel(worker)
            return
        if worker.state is State.ENDING:  # killed in the middle of its report: what is left of that is nobody's
            self._reactor.unwatch(worker.channel.fileno())
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
            worker.measure_baseline(self._slot_on_disk(worker))
            self._reactor.watch(worker.pidfd, lambda: self._on_end(worker))
        except OSError as problem:  # the process may be gone already
            log.warning("worker left before it was measured", extra=told(worker=worker.pid, problem=problem))
            worker.kill()
            return
        self._backoff.reset()
        self.shortage = ""
        self._events.entered(worker)
        worker.advance(WorkerEvent.ENTERED)
        self.roster.stands_by(worker)
        cold = self.roster.find_cold()
        if cold is not None and not worker.cold:
            self._give_up(cold)
        self._events.idle()

    def _on_end(self, worker: Worker) -> None:
        self._reactor.unwatch(worker.pidfd)
        if worker.state is State.BUSY:
            self._events.died(worker)

    def _on_exited(self, record: control.Exited) -> None:
        worker = self.roster.get(record.worker_id)
        if worker is None:
            return
        worker.status = record.status
        if worker.state is State.BUSY:
            worker.advance(WorkerEvent.REAPED)
            worker.cpu_s = max(0.0, record.cpu_s - worker.cpu_at_dispatch_s)
            self._events.exited(worker)
        elif worker.state is State.ENDING:
            self._forget(worker)
        else:
            self._mourn(worker)

    def _mourn(self, worker: Worker) -> None:
        """A worker died before it had a job."""
        wrote = worker.last_words() or None
        about = {"worker": worker.pid, "state": worker.state.value, "status": worker.status, "stderr": wrote}
        log.error("worker died without a job", extra=told(template=self.spec.name, **about))
        entering = worker.state is State.ENTERING
        self._forget(worker)
        if entering:
            self.replenish_later(self._backoff.next_s())
        else:
            self.replenish_later(0.0)

    def _forget(self, worker: Worker) -> None:
        worker.advance(WorkerEvent.REAPED)
        self._close(worker)
        self.roster.remove(worker)
        if self.keeper.pid is not None and self._slot_on_disk(worker):
            self.keeper.send(control.Release(worker.worker_id))
        self._tell_if_drained()

    def advance(self, event: GenerationEvent) -> None:
        """Take the step that the table has for this event. Raises ImpossibleStep."""
        self.state = step(GENERATION, self.state, event)

    def reconfigure(self, config: Config, spec: TemplateSpec) -> None:
        """Take over what changes nothing about the template itself: pauses, numbers of workers, limits of output."""
        self._config, self.spec = config, spec
        self.demand.configure(spec.idle_workers, spec.idle_workers_max)
        self.keeper.reconfigure(config, spec)
        self.replenish()

    def drain(self) -> None:
        """A newer generation serves: let the busy workers finish, end the others, fork no more."""
        self.advance(GenerationEvent.REPLACED)
        for worker in self.roster.every:
            if worker.state in (State.IDLE, State.ENTERING):
                self._give_up(worker)
        self._tell_if_drained()

    def give_up_entering(self, worker: Worker) -> None:
        """Kill a worker that does not become idle, and let another come in its place, later and later."""
        self._give_up(worker)
        self.replenish_later(self._backoff.next_s())

    def _give_up(self, worker: Worker) -> None:
        self.roster.stands_by_no_more(worker)
        worker.advance(WorkerEvent.GIVEN_UP)
        worker.kill()

    def _tell_if_drained(self) -> None:
        if self.state is GenerationState.DRAINING and not len(self.roster):
            self._reactor.call_later(0.0, lambda: self._events.drained(self))  # whoever called us is to return first

    def _close(self, worker: Worker) -> None:
        for fd in (worker.channel.fileno(), worker.pidfd):
            if fd >= 0:
                self._reactor.unwatch(fd)
        worker.close()
        self._events.gone(worker)

    def _on_template_end(self) -> None:
        for worker in self.roster.every:
            try:
                self._lose(worker)
            except (
                Exception
            ):  # what is the matter with one job costs that job; the others, and the next template, go on
                log.exception("worker not taken down", extra=told(template=self.spec.name, worker=worker.pid))
        self.roster.clear()
        draining = self.state is GenerationState.DRAINING
        self.advance(GenerationEvent.ENDED)
        self._slots.wipe()
        if self._gone is not None:
            self._slots.remove()
            self._gone()
        elif draining:
            self._reactor.call_later(0.0, lambda: self._events.drained(self))
        elif not self._closing:
            # A worker that was dying while its slot was wiped may have written once more.
            self._reactor.call_later(_WIPE_AGAIN_S, self._slots.wipe)

    def _lose(self, worker: Worker) -> None:
        worker.kill()
        try:
            if worker.state is State.BUSY:
                self._events.lost(worker)
        finally:
            if worker.state is not State.GONE:
                worker.advance(WorkerEvent.TEMPLATE_GONE)
                self._close(worker)

    def leave(self, gone: Callable[[], None]) -> None:
        """As ``close``, while the daemon goes on: nothing waits, and ``gone`` is called when the process has left."""
        self._begin_to_leave()
        self._gone = gone
        self.keeper.leave()

    def close(self) -> None:
        """Let the template kill its workers, wipe their slots and leave; kill it when it does not in time."""
        if not self._closing:
            self._begin_to_leave()
        self._gone = None
        self.keeper.close()
        self._slots.remove()

    def _begin_to_leave(self) -> None:
        self._closing = True
        self.advance(GenerationEvent.EMPTY if self.state is GenerationState.DRAINING else GenerationEvent.STOP)
        for worker in self.roster.every:
            worker.kill()

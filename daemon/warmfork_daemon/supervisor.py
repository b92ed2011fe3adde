"""The supervisor: messages in, jobs admitted, queued, dispatched, answered once each. Its state is touched by one thread."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import zmq

from warmfork.errors import ConfigError, EmbeddedStartFailed, GuardRefused, RequestRefused
from warmfork.results import ErrorInfo
from warmfork.wire.replies import ResultReply
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon import light
from warmfork_daemon.access import access_now, load_access
from warmfork_daemon.admission import admit
from warmfork_daemon.cgroups import JobCgroups
from warmfork_daemon.config import Config
from warmfork_daemon.defects import Defects
from warmfork_daemon.delivery import Delivery
from warmfork_daemon.dispatching import Dispatcher
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.guarding import guard_orders
from warmfork_daemon.intake import Intake
from warmfork_daemon.job import Job, JobKey
from warmfork_daemon.job_log import log_code
from warmfork_daemon.lifecycle import JobEvent
from warmfork_daemon.logs import told
from warmfork_daemon.metrics_http import PageServer
from warmfork_daemon.pile_watch import watch_piles
from warmfork_daemon.pool import WorkerPool
from warmfork_daemon.pool_events import PoolEvents
from warmfork_daemon.pools import Pools
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.reception import Reception, Services
from warmfork_daemon.reloading import Reloaded, compare
from warmfork_daemon.resolve import resolved
from warmfork_daemon.runner import JobRunner
from warmfork_daemon.runtime_dir import RuntimeDirectory
from warmfork_daemon.selftest import SelfTest
from warmfork_daemon.status import hello_reply, status_of
from warmfork_daemon.summary import summary_of
from warmfork_daemon.tally import Tally
from warmfork_daemon.templates import LIGHT_NAME
from warmfork_daemon.tenants import weights_of
from warmfork_daemon.worker import Worker

log = logging.getLogger("warmfork.supervisor")

# A client's ZeroMQ throws away what it has not read when it sees the connection end (ZMQ_IMMEDIATE), so the end comes later.
_LAST_REPLY_S: Final = 0.3


class Supervisor:
    """One daemon.

    Args:
        config: with the pool's numbers resolved.
        directory: locked.
        key: signs charts.
        environ: the daemon's environment; the template gets a whitelist of it.
        group_id: of the socket, None to leave it.
        instance: value of ``$WARMFORK_INSTANCE`` in our processes.
        cgroups: where workers are put; None for nowhere.
        activated: sockets that listen already, by their address.

    Attributes:
        on_serving: called once when the daemon listens.
        on_reloading, on_reloaded: called around each reload, whether it succeeds or not.
        on_stopping: called when it begins to end, once or more.
        load_config: reads the configuration anew; None where there is nothing to read it from.
        addresses: where it listens.
    """

    def __init__(
        self,
        config: Config,
        directory: RuntimeDirectory,
        key: bytes,
        *,
        environ: Mapping[str, str],
        group_id: int | None,
        instance: str,
        cgroups: JobCgroups | None = None,
        activated: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._config = config
        self.reactor = Reactor()
        self._context: zmq.Context[Any] = zmq.Context()
        access = load_access(config)
        self._frontend = Frontend(self._context, self.reactor, lambda *message: self._reception.take(*message), access)
        self._group_id = group_id
        self._cgroups = cgroups or JobCgroups(None, "only a service has them")
        self._activated = activated
        self._failure = ""
        self._defects = Defects()
        self._guard_refused = self._draining = False
        self.load_config: Callable[[], Config] | None = None
        self.on_serving: Callable[[], None] = lambda: None
        self.on_reloading: Callable[[], None] = lambda: None
        self.on_reloaded: Callable[[], None] = lambda: None
        self.on_stopping: Callable[[], None] = lambda: None
        self.addresses = list(dict.fromkeys([f"ipc://{directory.socket_path}", *config.endpoints, *activated]))
        events = PoolEvents(
            ready=lambda pool: self._selftest.begin(pool),
            idle=self._on_idle,
            channel=lambda worker: self._runner.on_channel(worker),
            died=lambda worker: self._runner.on_death(worker),
            exited=lambda worker: self._runner.on_exited(worker),
            lost=lambda worker: self._runner.on_lost(worker),
            failed=self._on_template_failed,
            drained=lambda pool: self._pools.drained(pool),
            entered=self._place,
            gone=self._cgroups.remove,
        )
        self._pools = Pools(self.reactor, config, directory.slots_dir_of, environ, instance, events)
        self._runner = JobRunner(
            self.reactor, config, self._pools, key, self._on_result, lambda *output: self._delivery.output(*output)
        )
        weights = weights_of(config, access)
        self._intake = Intake(config, self.reactor, self._frontend, self._runner, weights, self._cancel)
        self._queue = self._intake.queue
        self._counts = Tally(kills=self._runner.kills)
        services = Services(
            execute=self._execute,
            cancel=self._cancel,
            reload=self.reload,
            hello=lambda request_id: hello_reply(request_id, self._config, self._pools, self._intake.instance),
            status=self.status,
        )
        self._delivery = Delivery(self._frontend, self._intake, self._counts)
        self._reception = Reception(services, self._counts.refused, self._delivery.reply)
        self._metrics: PageServer | None = None
        self._selftest = SelfTest(config, self._pools, self._runner.run, self._on_proved, self._on_guard_refused)
        self._dispatcher = Dispatcher(
            self.reactor,
            self._pools,
            self._queue,
            self._runner,
            running_max=lambda: self._config.pool.running_max,
            may_run=self._selftest.may_run,
            answer=self._answer_unrun,
        )

    def run(self) -> None:
        """Start the default template, listen once it is ready, start the others, serve until ``stop``.

        Raises:
            EmbeddedStartFailed: the default template ended before it was ready.
            GuardRefused: a layer of the kernel's guard that is required does not hold.
            ConfigError: an address cannot be listened on.
        """
        if self._config.metrics.socket or self._config.metrics.listen:
            from warmfork_daemon.metrics import serve_metrics  # a daemon without metrics does not load the library

            self._metrics = serve_metrics(self.reactor, self._config, self.status, self._counts)
        self._pools.default.start()
        try:
            self.reactor.run()
        finally:
            self._close()
        if self._guard_refused:
            raise GuardRefused(self._failure, self._selftest.status())
        if self._failure:
            raise EmbeddedStartFailed(self._failure)

    def reload(self) -> Reloaded:
        """Read the configuration anew and follow it.

        Raises RequestRefused, with nothing changed, when it is wrong or there is nothing to read it from.
        """
        if self.load_config is None:
            raise RequestRefused("not_reloadable", "this daemon has no configuration to read: a program started it")
        self.on_reloading()
        try:
            return self._follow(self.load_config)
        finally:
            self.on_reloaded()

    def _follow(self, load_config: Callable[[], Config]) -> Reloaded:
        try:
            new = resolved(load_config())
            guard_orders(new)
            access = access_now(self._frontend.access, new)
            weights = weights_of(new, access)
        except ConfigError as problem:
            log.error("reload refused", extra=told(problem=problem))
            raise RequestRefused("bad_config", f"nothing changed: {problem}") from None
        outcome = compare(self._config, new)
        self._config = new
        self._runner.reconfigure(new)
        self._selftest.reconfigure(new)
        self._intake.reconfigure(new, weights)
        admitted, shut_out = self._frontend.follow(access)
        renewed, removed = self._pools.reconfigure(new)
        if not self._pools.light_serves:
            self._dispatcher.give_up_light()
        for name in removed:
            while (job := self._queue.take(name)) is not None:
                message = f"The template {name!r} was taken out of the configuration; the job did not run."
                self._answer_unrun(job, "rejected", "TemplateRemoved", message)
        outcome = replace(outcome, renewed=tuple(renewed), removed=tuple(removed), admitted=admitted, shut_out=shut_out)
        log.info("reloaded", extra=told(outcome=outcome))
        self._dispatcher.dispatch()
        return outcome

    def drain(self) -> None:
        """Take nothing new, let what is here finish for ``lifecycle.drain_s``, then stop; called again, stop at once."""
        if self._draining:
            self.stop()
            return
        self._draining = True
        self.on_stopping()
        log.info("stopping", extra=told(running=self._runner.running, queued=len(self._queue)))
        self.reactor.call_later(self._config.lifecycle.drain_s, self.stop)
        self._stop_if_done()

    def _stop_if_done(self) -> None:
        if self._draining and not self._runner.running and not len(self._queue):
            self.reactor.call_later(0.0, self.stop)

    def stop(self) -> None:
        """End: what waits is ``lost`` and safe to retry, what runs is killed and ``lost``."""
        self.on_stopping()
        if not self._draining:
            self._delivery.last_result_s = 0.0  # of those before, nobody is still to read
        while (job := self._queue.take()) is not None:
            self._answer_unrun(
                job, "lost", "DaemonStopped", "The daemon stopped; the job did not run. A retry is safe."
            )
        self._runner.stop()
        self.reactor.stop()

    def _close(self) -> None:
        if self._metrics is not None:
            self._metrics.close()
        self._intake.close()
        self._pools.close()
        time.sleep(max(0.0, self._delivery.last_result_s + _LAST_REPLY_S - monotonic_s()))
        self._frontend.close()
        self._context.term()

    def _on_idle(self) -> None:
        self._selftest.feed()
        self._dispatcher.dispatch()

    def _on_proved(self, pool: WorkerPool) -> None:
        log.info("template proved", extra=told(template=pool.spec.name, generation=pool.generation))
        self._pools.serve(pool)
        if not self._frontend.bound:
            self.addresses = [
                self._frontend.bind(address, self._group_id, self._activated.get(address)) for address in self.addresses
            ]
            log.info("serving", extra=told(addresses=",".join(self.addresses)))
            self.reactor.on_defect = self._defects
            gc.freeze()  # what is here now stays: a full collection need not look through it in the middle of a job
            watch_piles(self.reactor, self._frontend, self._intake, self._runner, lambda: self._config)
            self.on_serving()
            self._pools.start_further()
        self._dispatcher.dispatch()

    def _on_guard_refused(self, pool: WorkerPool, reason: str) -> None:
        self._guard_refused = not self._frontend.bound
        told_to_operator = (
            f"the kernel's guard does not hold, and nothing is served without it: {reason}. "
            "`warmfork doctor` shows every layer."
        )
        self._on_pool_down(pool, reason, told_to_operator)

    def _on_template_failed(self, pool: WorkerPool) -> None:
        problem = pool.keeper.problem
        self._on_pool_down(pool, problem, f"the template did not become ready: {problem}")

    def _on_pool_down(self, pool: WorkerPool, reason: str, failure: str) -> None:
        if self._pools.refuse(pool, reason):
            return
        if not self._frontend.bound:
            self._failure = failure
            self.reactor.stop()
            return
        if pool.spec.is_light:
            self._dispatcher.dispatch()  # which has its jobs run elsewhere
        while (job := self._queue.take(pool.spec.name)) is not None:
            self._answer_down(job)

    def status(self) -> dict[str, Any]:
        """How this daemon is, as plain data."""
        return status_of(
            self._config,
            self.addresses,
            self._pools,
            self._queue,
            self._runner.running_jobs,
            self._counts,
            self._selftest.status(),
            self._metrics.addresses if self._metrics is not None else [],
        ) | {
            "draining": self._draining,
            "defects": self._defects.count,
            "cgroups": self._cgroups.status(),
            "peers": self._frontend.status(),
            "known_jobs": self._intake.status(),
            "clients": self._intake.absence(),
        }

    def summary(self) -> str:
        """How this daemon is, in one line."""
        return summary_of(self._pools, len(self._queue), self._runner.running, self._counts.by_verdict)

    def template_answers(self) -> bool:
        """False when a template has hung for so long that the daemon is of no use."""
        return self._pools.answer()

    def _place(self, worker: Worker) -> None:
        bounds = self._config.limits
        self._cgroups.place(
            worker, memory_bytes=bounds.memory_bytes, disk_bytes=bounds.disk_bytes, threads_max=bounds.threads_max
        )

    def _execute(self, request: ExecuteRequest, peer: Peer) -> None:
        met = self._intake.meets(request, peer)
        if met is True:
            return
        job = admit(request, peer, self._config, monotonic_s())
        if met:
            self._answer_unrun(job, "lost", met.kind, met.message, retry_safe=False)
            return
        if self._draining:
            message = "The daemon is stopping and takes nothing new; the job did not run. A retry is safe."
            self._answer_unrun(job, "lost", "DaemonStopping", message)
            return
        if self._pools[job.template].keeper.state == "failed" or self._selftest.problem(job.template):
            self._answer_down(job)
            return
        if refusal := self._intake.refuses(job):
            self._answer_unrun(job, "rejected", refusal.kind, refusal.message)
            return
        if self._config.log.code:
            log_code(job)
        self._counts.admit()
        if self._pools.light_serves and light.may_run_light(request, job.template, job.memory_bytes):
            job.line = LIGHT_NAME
        if self._dispatcher.dispatch_at_once(job):
            self._intake.expect_client(job)
            return
        self._intake.take(job)
        self._dispatcher.dispatch()
        self._dispatcher.look_after_the_waiting()

    def _cancel(self, key: JobKey, detail: str) -> str:
        job = self._queue.remove(key)
        if job is not None:
            message = f"The job was cancelled{detail} while it waited; it did not run."
            self._answer_unrun(job, "cancelled", "Cancelled", message)
            return "queued"
        return "running" if self._runner.cancel(key, detail) else "unknown"

    def _answer_down(self, job: Job) -> None:
        keeper = self._pools[job.template].keeper
        problem = keeper.problem or self._selftest.problem(job.template)
        message = (
            f"The template {job.template!r} is not running: {problem}. It is tried again; the job did not run. "
            "The operator finds more in the daemon's log and in warmfork status."
        )
        self._answer_unrun(job, "rejected", "TemplateDown", message, retry_after_s=max(1.0, keeper.retry_after_s))

    def _answer_unrun(
        self,
        job: Job,
        verdict: Any,
        kind: str,
        message: str,
        retry_after_s: float | None = None,
        *,
        retry_safe: bool = True,
    ) -> None:
        rejected = verdict == "rejected"
        if rejected and retry_after_s is None:
            retry_after_s = self._intake.retry_after_s(job)
        reply = ResultReply(
            job.request.id,
            verdict,
            error=ErrorInfo(kind, message),
            retry_after_s=retry_after_s,
            retry_safe=retry_safe if verdict in ("rejected", "lost") else None,
            queue_length=len(self._queue) if rejected else None,
        )
        job.advance(JobEvent.DROP)
        self._on_result(job, reply)

    def _on_result(self, job: Job, reply: ResultReply) -> None:
        self._dispatcher.dispatch_soon()
        if not self._selftest.takes(job, reply):
            self._delivery.result(job, reply, guarded=not self._config.guard.unguarded)
        self._stop_if_done()

"""The supervisor: messages in, jobs admitted, queued, dispatched, answered once each. Its state is touched by one thread."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import zmq

from warmfork.errors import EmbeddedStartFailed, GuardRefused, ProtocolError, RequestRefused
from warmfork.results import ErrorInfo
from warmfork.wire.frames import UnknownMessageType, UnsupportedVersion, request_id_of
from warmfork.wire.messages import decode_request, encode_reply
from warmfork.wire.records import (
    CancelReply,
    CancelRequest,
    ErrorReply,
    ExecuteRequest,
    HelloRequest,
    Reply,
    ResultReply,
    StatusReply,
)
from warmfork_daemon.access import load_access
from warmfork_daemon.admission import admit
from warmfork_daemon.clients import ClientWatch
from warmfork_daemon.config import Config
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.job import Job, JobKey
from warmfork_daemon.pool import PoolEvents
from warmfork_daemon.pools import Pools
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.runner import JobRunner
from warmfork_daemon.runtime_dir import RuntimeDirectory
from warmfork_daemon.selftest import SelfTest
from warmfork_daemon.status import Counts, hello_reply, status_of

log = logging.getLogger("warmfork.supervisor")

_EXPIRY_TURN_S: Final = 0.25
_RETRY_AFTER_S_MAX: Final = 60.0


class Supervisor:
    """One daemon.

    Args:
        config: with the pool's numbers resolved.
        directory: locked.
        key: signs charts.
        environ: the daemon's environment; the template gets a whitelist of it.
        group_id: of the socket, None to leave it.
        instance: value of ``$WARMFORK_INSTANCE`` in our processes.

    Attributes:
        on_serving: called once when the daemon listens.
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
    ) -> None:
        self._config = config
        self.reactor = Reactor()
        self._context: zmq.Context[Any] = zmq.Context()
        self._frontend = Frontend(self._context, self.reactor, self._on_message, load_access(config))
        self._queue = JobQueue(config.queue.jobs_max, config.queue.bytes_max)
        self._clients = ClientWatch(self.reactor, self._on_client_gone)
        self._counts = Counts()
        self._group_id = group_id
        self._expiry_planned = False
        self._failure = ""
        self._guard_refused = False
        self.on_serving: Callable[[], None] = lambda: None
        self.addresses = [f"ipc://{directory.socket_path}", *config.endpoints]
        events = PoolEvents(
            ready=lambda template: self._selftest.begin(template),
            idle=self._on_idle,
            channel=lambda worker: self._runner.on_channel(worker),
            exited=lambda worker: self._runner.on_exited(worker),
            lost=lambda worker: self._runner.on_lost(worker),
            failed=self._on_template_failed,
        )
        self._pools = Pools(self.reactor, config, directory.slots_dir_of, environ, instance, events)
        self._runner = JobRunner(self.reactor, config, self._pools, key, self._on_result)
        self._selftest = SelfTest(config, self._pools, self._runner.run, self._on_proved, self._on_guard_refused)

    def run(self) -> None:
        """Start the default template, listen once it is ready, start the others, serve until ``stop``.

        Raises:
            EmbeddedStartFailed: the default template ended before it was ready.
            GuardRefused: a layer of the kernel's guard that is required does not hold.
            ConfigError: an address cannot be listened on.
        """
        self._pools.default.start()
        try:
            self.reactor.run()
        finally:
            self._close()
        if self._guard_refused:
            raise GuardRefused(self._failure, self._selftest.status())
        if self._failure:
            raise EmbeddedStartFailed(self._failure)

    def stop(self) -> None:
        """End: what waits is ``lost`` and safe to retry, what runs is killed and ``lost``."""
        while (job := self._queue.take()) is not None:
            self._answer_unrun(
                job, "lost", "DaemonStopped", "The daemon stopped; the job did not run. A retry is safe."
            )
        self._runner.stop()
        self.reactor.stop()

    def _close(self) -> None:
        self._frontend.close()
        self._clients.close()
        self._pools.close()
        self._context.term()

    def _on_idle(self) -> None:
        self._selftest.feed()
        self._dispatch()

    def _on_proved(self, template: str) -> None:
        log.info("template %s is ready, its guard proved", template)
        if not self._frontend.bound:
            self.addresses = [self._frontend.bind(address, self._group_id) for address in self.addresses]
            log.info("serving at %s", ", ".join(self.addresses))
            self.on_serving()
            self._pools.start_further()
        self._dispatch()

    def _on_guard_refused(self, template: str, reason: str) -> None:
        if not self._frontend.bound:
            self._guard_refused = True
            self._failure = (
                f"the kernel's guard does not hold, and nothing is served without it: {reason}. "
                "`warmfork doctor` shows every layer."
            )
            self.reactor.stop()
            return
        while (job := self._queue.take(template)) is not None:
            self._answer_down(job)

    def _on_template_failed(self, template: str) -> None:
        if not self._frontend.bound:
            self._failure = f"the template did not become ready: {self._pools.default.keeper.problem}"
            self.reactor.stop()
            return
        while (job := self._queue.take(template)) is not None:
            self._answer_down(job)

    def _on_message(self, peer: Peer, frames: list[memoryview]) -> None:
        try:
            request = decode_request(frames)
        except ProtocolError as problem:
            self._send(peer, _error_for(problem, frames))
            return
        try:
            if isinstance(request, ExecuteRequest):
                self._execute(request, peer)
            elif isinstance(request, CancelRequest):
                self._send(peer, CancelReply(request.id, self._cancel((peer.owner, request.job_id), " by its client")))
            elif isinstance(request, HelloRequest):
                self._send(peer, hello_reply(request.id, self._config, self._pools))
            else:
                self._send(peer, StatusReply(request.id, self.status()))
        except RequestRefused as refusal:
            self._counts.refused[refusal.code] += 1
            self._send(peer, ErrorReply(request.id, refusal.code, str(refusal)))

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
        )

    def _execute(self, request: ExecuteRequest, peer: Peer) -> None:
        job = admit(request, peer, self._config, monotonic_s())
        if job.key in self._queue or self._runner.runs(job.key):
            raise RequestRefused("duplicate_job", f"job {request.id.hex()} is known already; choose a new id")
        if self._pools[job.template].keeper.state == "failed" or self._selftest.problem(job.template):
            self._answer_down(job)
            return
        full = self._queue.full_for(job)
        if full:
            self._answer_unrun(job, "rejected", "QueueFull", f"{full}. The job did not run; try again later.")
            return
        self._clients.watch(peer.pid)
        self._queue.put(job)
        self._dispatch()
        if len(self._queue):
            self._plan_expiry()

    def _dispatch(self) -> None:
        short = {pool.spec.name for pool in self._pools if not self._selftest.may_run(pool.spec.name)}
        while len(self._queue) and self._runner.running < self._config.pool.running_max:
            template = self._queue.oldest(besides=short)
            if template is None:
                return
            worker = self._pools[template].take_idle()
            if worker is None:
                self._pools[template].replenish()  # jobs wait: the pause after a reply is no use now
                short.add(template)
                continue
            job = self._queue.take(template)
            assert job is not None
            try:
                if not self._runner.run(worker, job):
                    self._queue.put_back(job)
            except ProtocolError as problem:  # one job's loss, never the daemon's
                log.error("job %s could not be sent to a worker: %s", job.request.id.hex(), problem)
                self._pools[template].retire(worker)
                self._answer_unrun(job, "lost", "NotSent", f"The job could not be sent to a worker: {problem}.")

    def _plan_expiry(self) -> None:
        if not self._expiry_planned:
            self._expiry_planned = True
            self.reactor.call_later(_EXPIRY_TURN_S, self._expire)

    def _expire(self) -> None:
        self._expiry_planned = False
        for job in self._queue.take_expired(monotonic_s()):
            waited_s = monotonic_s() - job.submitted_s
            message = (
                f"The job waited {waited_s:.1f} s for a worker, as long as it may; it did not run. Try again later."
            )
            self._answer_unrun(job, "rejected", "QueueWait", message)
        if len(self._queue):
            self._plan_expiry()

    def _cancel(self, key: JobKey, detail: str) -> str:
        job = self._queue.remove(key)
        if job is not None:
            message = f"The job was cancelled{detail} while it waited; it did not run."
            self._answer_unrun(job, "cancelled", "Cancelled", message)
            return "queued"
        return "running" if self._runner.cancel(key, detail) else "unknown"

    def _on_client_gone(self, pid: int) -> None:
        running = [job.key for job, _ in self._runner.running_jobs if job.peer.pid == pid]
        for key in (*self._queue.of_pid(pid), *running):
            self._cancel(key, ", because its client process is gone,")

    def _answer_down(self, job: Job) -> None:
        keeper = self._pools[job.template].keeper
        problem = keeper.problem or self._selftest.problem(job.template)
        message = (
            f"The template {job.template!r} is not running: {problem}. It is tried again; the job did not run. "
            "The operator finds more in the daemon's log and in warmfork status."
        )
        self._answer_unrun(job, "rejected", "TemplateDown", message, retry_after_s=max(1.0, keeper.retry_after_s))

    def _answer_unrun(
        self, job: Job, verdict: Any, kind: str, message: str, retry_after_s: float | None = None
    ) -> None:
        if verdict == "rejected" and retry_after_s is None:
            jobs_ahead = (len(self._queue) + 1) / self._config.pool.running_max
            retry_after_s = min(_RETRY_AFTER_S_MAX, max(0.1, jobs_ahead * self._counts.mean_wall_s))
        reply = ResultReply(
            job.request.id,
            verdict,
            error=ErrorInfo(kind, message),
            retry_after_s=retry_after_s,
            retry_safe=True if verdict in ("rejected", "lost") else None,
        )
        self._on_result(job, reply)

    def _on_result(self, job: Job, reply: ResultReply) -> None:
        if self._selftest.takes(job, reply):
            return
        if self._config.guard.unguarded:
            reply = replace(reply, guarded=False)
        self._counts.by_verdict[reply.verdict] += 1
        if job.dispatched_s:
            self._counts.ran += 1
            self._counts.wall_s += reply.usage.wall_s
        if not self._send(job.peer, reply):
            self._counts.undelivered += 1
        log.debug("job %s %s wall_s=%.4f", job.request.id.hex(), reply.verdict, reply.usage.wall_s)

    def _send(self, peer: Peer, reply: Reply) -> bool:
        try:
            frames = encode_reply(reply)
        except ProtocolError as problem:  # one job's loss, never the daemon's
            log.error("reply to %s could not be written: %s", reply.id.hex(), problem)
            if not isinstance(reply, ResultReply):
                return False
            told = f"The job ended as {reply.verdict}, but its result could not be written down: {problem}."
            frames = encode_reply(
                ResultReply(reply.id, "lost", error=ErrorInfo("NotSent", told[:4_000]), retry_safe=False)
            )
        return self._frontend.send(peer, frames)


def _error_for(problem: ProtocolError, frames: list[memoryview]) -> ErrorReply:
    code = "bad_request"
    if isinstance(problem, UnsupportedVersion):
        code = "unsupported_version"
    elif isinstance(problem, UnknownMessageType):
        code = "unknown_type"
    return ErrorReply(request_id_of(frames), code, str(problem)[:4_000])


def new_instance(environ: Mapping[str, str]) -> str:
    """The mark of this daemon's processes: ``$WARMFORK_INSTANCE`` if set, else made from the pid."""
    return environ.get("WARMFORK_INSTANCE") or f"daemon-{os.getpid()}"

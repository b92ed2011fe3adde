"""Running jobs on workers: dispatch, deadline, memory watch, report, death, reply. One verdict a job, always.

How a busy worker's end is read, in the order that settles ties: a whole report wins; then the reason of our own kill,
which is set before the signal; then the exit status from the template's wait4.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire import headers, jobs, limits, stream
from warmfork.wire.replies import ResultReply
from warmfork.wire.reports import decode_report
from warmfork_daemon import collector, verdicts
from warmfork_daemon.answering import not_composed
from warmfork_daemon.cgroups import JobCgroup
from warmfork_daemon.config import Config
from warmfork_daemon.job import Job, JobKey
from warmfork_daemon.lifecycle import JobEvent
from warmfork_daemon.lifecycle import WorkerState as State
from warmfork_daemon.logs import told
from warmfork_daemon.pools import Pools
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.replies import Collected, compose_result
from warmfork_daemon.sampling import Sampler
from warmfork_daemon.streaming import JobStream, SendOutput
from warmfork_daemon.worker import KillReason, Worker

log = logging.getLogger("warmfork.runner")

_READ_BYTES: Final = 120 * limits.KIB  # less than what malloc(3) maps by itself, and unmaps again, for each report
_NOTHING: Final = Collected()
_STATUS_WAIT_S: Final = 2.0
_KILLED_S: Final = 0.5
_REPORT_OVERHEAD_BYTES: Final = limits.HEADER_BYTES_MAX


class JobRunner:
    """Gives jobs to workers and takes their ends.

    Args:
        reactor: the event loop.
        config: the daemon's.
        pools: where workers go to.
        key: signs charts.
        on_result: called once a job with its reply.
        send_output: sends output of a running job whose client asked for it.
    """

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        pools: Pools,
        key: bytes,
        on_result: Callable[[Job, ResultReply], None],
        send_output: SendOutput,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._pools = pools
        self._key = key
        self._on_result = on_result
        self._send_output = send_output
        self._busy: dict[JobKey, Worker] = {}
        self._sampler = Sampler(reactor, self._busy, lambda: self._config)
        self.kills: Counter[str] = Counter()

    def reconfigure(self, config: Config) -> None:
        """Run later jobs by this configuration."""
        self._config = config

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._busy)

    @property
    def running_jobs(self) -> list[tuple[Job, int]]:
        """The jobs that run, each with the pid of its worker."""
        return [(worker.job, worker.pid) for worker in self._busy.values() if worker.job is not None]

    def run(self, worker: Worker, job: Job) -> bool:
        """Send the job to an idle worker just taken. False when the worker turned out dead; the job did not run.

        Raises what kept the job from being written down or sent, ProtocolError or OSError say; it did not run, and the
        worker is of no more use.
        """
        frames = jobs.encode_order(self._order(worker, job), headers.pack)
        job.advance(JobEvent.DISPATCHED)
        job.dispatched_s = monotonic_s()
        worker.job = job
        try:
            sent = self._begin(worker, job, frames)
        except Exception:
            self._undo(worker, job)
            raise
        if not sent:
            log.warning("worker gone before its job", extra=told(job=job.request.id.hex(), worker=worker.pid))
            self._undo(worker, job)
            self._pools.of(worker).retire(worker)
        return sent

    def _begin(self, worker: Worker, job: Job, frames: Sequence[bytes | memoryview]) -> bool:
        """Send the worker its order, last of all: where anything fails, it has not got the whole of it."""
        if worker.cgroup is not None:
            self._limit_cgroup(worker.cgroup, job)
        worker.assembler = stream.MessageAssembler(self._config.limits.reply_bytes_max + _REPORT_OVERHEAD_BYTES)
        self._busy[job.key] = worker
        if job.request.stream and not self._redacts(job):
            outputs = {"stdout": worker.stdout.output, "stderr": worker.stderr.output}
            worker.streaming = JobStream(job, outputs, self._send_output)
        self._reactor.call_at_turns_end(lambda: self._watch_over(worker, job))
        worker.send([stream.prefix_of(frames), *frames])
        self._flush(worker)
        return not worker.deaf

    def _watch_over(self, worker: Worker, job: Job) -> None:
        """From now on see to the job's limits, if it still runs.

        A short one has ended by now where its worker was given the daemon's processor, as kernels do that leave the other ones
        asleep. It then needs none of this, nor another turn of the loop.
        """
        try:
            if worker.job is job:
                self.on_channel(worker)
            if worker.job is not job or worker.report is not None:
                return
            timeout_s = min(job.timeout_s, max(0.001, job.deadline_left_s(job.dispatched_s)))
            left_s = max(0.0, job.dispatched_s + timeout_s - monotonic_s())
            worker.deadline = self._reactor.call_later(left_s, lambda: worker.kill(KillReason.TIMEOUT))
            self._sampler.begin()
        except (
            Exception
        ):  # no memory for it: nothing may run without its limits, and a report that was read must be answered
            if worker.job is job:
                worker.kill()
            raise

    def _undo(self, worker: Worker, job: Job) -> None:
        self._busy.pop(job.key, None)
        if worker.deadline is not None:
            worker.deadline.cancel()
        worker.unsent.clear()
        worker.job = worker.streaming = worker.assembler = None
        job.dispatched_s = 0.0
        job.advance(JobEvent.SENT_BACK)

    def _limit_cgroup(self, cgroup: JobCgroup, job: Job) -> None:
        try:
            # Twice: the worker holds what it was sent, and writes it to files.
            cgroup.limit(job.memory_bytes + 2 * job.input_bytes)
        except OSError as problem:  # the other limits stand
            log.warning("memory.max not set", extra=told(job=job.request.id.hex(), problem=problem))

    def _order(self, worker: Worker, job: Job) -> jobs.JobOrder:
        request, bounds = job.request, self._config.limits
        return jobs.JobOrder(
            code=request.code,
            variables=request.variables,
            stdin=request.stdin,
            files=request.files,
            formats=request.formats,
            policy=job.policy,
            rc=request.rc,
            charts_max=bounds.charts_max,
            chart_bytes_max=bounds.chart_bytes_max,
            charts_bytes_max=bounds.reply_bytes_max,
            address_bytes=worker.address_limit_bytes(job),
            cpu_s=int(worker.cpu_at_dispatch_s + job.timeout_s * bounds.cpu_factor) + 1,
            memory_bytes=job.memory_bytes,
        )

    def _flush(self, worker: Worker) -> None:
        if worker.flush():
            self._reactor.unwatch_writable(worker.channel.fileno())
        else:
            self._reactor.watch_writable(worker.channel.fileno(), lambda: self._flush(worker))

    def job_of(self, key: JobKey) -> Job | None:
        """The job of this key, while it runs."""
        worker = self._busy.get(key)
        return None if worker is None else worker.job

    def cancel(self, key: JobKey, detail: str) -> bool:
        """Kill the running job of this key; its reply follows. False when it does not run."""
        worker = self._busy.get(key)
        if worker is None:
            return False
        if worker.report is None:
            worker.kill(KillReason.CANCELLED, detail)
        return True

    def on_channel(self, worker: Worker) -> None:
        """Read a busy worker's channel; a whole report ends the job."""
        if worker.report is not None or worker.assembler is None:
            self._reactor.unwatch(worker.channel.fileno())  # whatever follows the report is never read
            return
        try:
            data = worker.channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._reactor.unwatch(worker.channel.fileno())  # its death is told by the pidfd
            return
        try:
            worker.assembler.feed(data)
            if worker.assembler.frames is None:
                return
            worker.report = decode_report(worker.assembler.frames)
        except Exception as problem:  # of the protocol, or no memory for it: to read it once more would not help
            self._reactor.unwatch(worker.channel.fileno())
            expected = isinstance(problem, ProtocolError)
            if not expected:
                log.exception("report not read", extra=told(worker=worker.pid, problem=problem))
            worker.kill(KillReason.BAD_REPORT, str(problem) if expected else type(problem).__name__)
            return
        self._on_report(worker)

    def _on_report(self, worker: Worker) -> None:
        assert worker.job is not None
        worker.job.advance(JobEvent.REPORT)
        worker.reported_s = monotonic_s()
        worker.cpu_s = max(0.0, worker.read_cpu_s() - worker.cpu_at_dispatch_s)
        worker.read_peak()
        if worker.deadline is not None:
            worker.deadline.cancel()
        if not worker.job.request.files and collector.is_empty(worker.work_fd, worker.empty_dir_bytes):
            worker.left_nothing = True  # what a thread of its may write from now on is not looked at
            self._finish_reported(worker)
        else:
            worker.kill()  # files are collected from a dead worker only, so none can change while it is read

    def on_death(self, worker: Worker) -> None:
        """A busy worker's process has ended, or the template has reaped it."""
        while worker.report is None and worker.kill_reason is None and self._channel_open(worker):
            before = worker.assembler.received if worker.assembler else 0
            self.on_channel(worker)
            if worker.state is not State.BUSY:
                return
            if worker.assembler is None or worker.assembler.received == before:
                break
        if worker.state is not State.BUSY or worker.job is None:
            return
        if worker.report is None and worker.kill_reason is None and worker.oom_killed():
            worker.kill_reason = KillReason.MEMORY
        if worker.report is not None:
            self._finish_reported(worker)
        elif worker.kill_reason is not None:
            self._finish_killed(worker)
        elif worker.status is None:
            self._reactor.call_later(_STATUS_WAIT_S, lambda: self._finish_unexplained(worker))

    def _channel_open(self, worker: Worker) -> bool:
        return worker.channel.fileno() >= 0

    def on_exited(self, worker: Worker) -> None:
        """The template reaped a busy worker."""
        self.on_death(worker)
        if worker.state is State.BUSY and worker.job is not None:
            self._finish_unexplained(worker)

    def on_lost(self, worker: Worker) -> None:
        """A busy worker's template died."""
        if worker.report is not None:
            self._finish_reported(worker)
        elif worker.kill_reason is not None:
            self._finish_killed(worker)
        elif worker.job is not None:
            self._finish(worker, verdicts.judge_template_loss(), None)

    def stop(self) -> None:
        """End every running job as ``lost``, but those whose report is here."""
        workers = list(self._busy.values())
        for worker in workers:
            worker.kill(KillReason.STOPPING)
        due_s = monotonic_s() + _KILLED_S  # for all together: what manages the service does not wait long
        for worker in workers:
            worker.wait_for_end(max(0.0, due_s - monotonic_s()))
            try:
                if worker.report is not None:
                    self._finish_reported(worker)
                else:
                    self._finish_killed(worker)
            except Exception:
                log.exception("job not answered in order", extra=told(worker=worker.pid))

    def _finish_reported(self, worker: Worker) -> None:
        assert worker.report is not None
        assert worker.job is not None
        judgement = verdicts.judge_report(worker.report, worker.job.memory_bytes)
        self._finish(worker, judgement, worker.report)

    def _finish_killed(self, worker: Worker) -> None:
        assert worker.kill_reason is not None
        assert worker.job is not None
        job = worker.job
        self.kills[worker.kill_reason.value] += 1
        judgement = verdicts.judge_kill(
            worker.kill_reason,
            worker.kill_detail,
            timeout_s=job.timeout_s,
            memory_bytes=job.memory_bytes,
            by_deadline=job.deadline_left_s(job.dispatched_s) < job.timeout_s,
        )
        self._finish(worker, judgement, None)

    def _finish_unexplained(self, worker: Worker) -> None:
        if worker.job is None:
            return
        judgement = verdicts.judge_exit(
            worker.status,
            cpu_used_s=worker.cpu_s,
            cpu_limit_s=worker.job.timeout_s * self._config.limits.cpu_factor,
        )
        self._finish(worker, judgement, None)

    def _finish(self, worker: Worker, judgement: verdicts.Judgement, report: jobs.JobReport | None) -> None:
        job = worker.job
        assert job is not None
        job.advance(JobEvent.OVER)
        worker.job = None
        del self._busy[job.key]
        problem: Exception | None = None
        try:
            reply = self._reply_to(worker, job, judgement, report)
        except Exception as caught:
            # No memory for a big reply, or a mistake of ours: the one reply goes out all the same.
            problem, reply = caught, not_composed(job.request.id, judgement.verdict, caught)
        try:
            self._on_result(job, reply)
        finally:
            for fd in (
                worker.channel.fileno(),
                worker.pidfd,
            ):  # nothing of it is news any more: a turn of the loop less
                self._reactor.unwatch(fd)
            self._sampler.end()
            if worker.state is State.BUSY:
                self._pools.of(worker).retire(worker)
        if problem is not None:
            raise problem

    def _reply_to(
        self, worker: Worker, job: Job, judgement: verdicts.Judgement, report: jobs.JobReport | None
    ) -> ResultReply:
        if worker.deadline is not None:
            worker.deadline.cancel()
        if not worker.cpu_s:
            worker.cpu_s = max(0.0, worker.read_cpu_s() - worker.cpu_at_dispatch_s)
        ended_s = worker.reported_s or monotonic_s()
        worker.read_cgroup_peak()
        worker.drain()
        collected = self._collect(worker, job, report)
        return compose_result(
            worker,
            job,
            judgement,
            report,
            collected,
            ended_s,
            self._config.limits,
            self._key,
            redact=self._redacts(job),
        )

    def _redacts(self, job: Job) -> bool:
        """Whether its text is redacted, which takes the whole of it: nothing of such a job is streamed."""
        return self._config.results.redact or job.request.redact

    def _collect(self, worker: Worker, job: Job, report: jobs.JobReport | None) -> Collected:
        bounds = self._config.limits
        if worker.work_fd < 0 or worker.left_nothing:
            return _NOTHING
        rendered = sum(len(chart.data) for chart in report.charts if chart.data is not None) if report else 0
        try:
            return collector.collect(
                worker.work_fd,
                {file.name: file.data for file in job.request.files},
                files_max=bounds.files_max,
                file_bytes_max=bounds.file_bytes_max,
                bytes_max=max(0, bounds.reply_bytes_max - rendered),
            )
        except OSError as problem:
            log.warning("files not collected", extra=told(job=job.request.id.hex(), problem=problem))
            return Collected(dropped=1)

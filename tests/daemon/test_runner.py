"""A report that cannot be read costs its own job, whatever the reason, and is read once."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from warmfork.errors import ProtocolError
from warmfork.wire.jobs import JobReport, encode_report
from warmfork.wire.requests import ExecuteRequest
from warmfork.wire.stream import MessageAssembler, prefix_of
from warmfork_daemon.admission import admit
from warmfork_daemon.config import Config
from warmfork_daemon.frontend import Peer
from warmfork_daemon.lifecycle import JobState, WorkerState
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.resident import open_status
from warmfork_daemon.runner import JobRunner
from warmfork_daemon.worker import KillReason, Worker, make_worker


@pytest.mark.parametrize(
    ("problem", "told"), [(ProtocolError("it is no report"), "it is no report"), (MemoryError(), "MemoryError")]
)
def test_a_report_that_cannot_be_read_ends_its_job(
    problem: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is killed with the reason and its channel not watched any more; the loop is left alone."""
    kills: list[tuple[KillReason, str]] = []
    unwatched: list[int] = []

    def fail(frames: Any) -> JobReport:
        raise problem

    monkeypatch.setattr("warmfork_daemon.runner.decode_report", fail)
    runner = JobRunner.__new__(JobRunner)
    vars(runner)["_reactor"] = SimpleNamespace(unwatch=unwatched.append)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frames = encode_report(JobReport("ok"))
        theirs.sendall(prefix_of(frames) + b"".join(frames))
        worker = SimpleNamespace(
            report=None,
            assembler=MessageAssembler(),
            channel=ours,
            pid=77,
            kill=lambda reason, detail: kills.append((reason, detail)),
        )
        runner.on_channel(cast(Worker, worker))
        assert [ours.fileno()] == unwatched
    assert [(KillReason.BAD_REPORT, told)] == kills
    assert worker.report is None


class Bench:
    """A runner with one real worker record, whose process is this one and whose other ends are held here."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.worker, self.theirs = make_worker(1, "slot", 1_000, 1_000)
        self.worker.pid, self.worker.state = os.getpid(), WorkerState.BUSY
        self.worker.pidfd, self.worker.work_fd = os.pidfd_open(os.getpid()), os.open(os.devnull, os.O_RDONLY)
        self.worker.status_fd = open_status(os.getpid())
        self.worker.empty_dir_bytes = 1  # the device that stands in for its directory has 0: something was left there
        self.retired: list[Worker] = []
        self.replies: list[Any] = []
        pools = SimpleNamespace(of=lambda worker: SimpleNamespace(retire=self.retired.append))
        self.runner = JobRunner(
            self.reactor,
            Config(),
            cast(Any, pools),
            bytes(32),
            lambda job, reply: self.replies.append(reply),
            lambda *_: True,
        )
        request = ExecuteRequest(bytes(16), b"print(1)", timeout_s=50.0)
        self.job = admit(request, Peer(0, b"peer", 7, 8), Config(), monotonic_s())

    def report(self) -> None:
        """What the worker says when it is done."""
        frames = encode_report(JobReport("ok"))
        os.write(self.theirs[0], prefix_of(frames) + b"".join(frames))

    def turn(self) -> None:
        """One turn, which need not wait."""
        self.reactor.call_later(0.0, lambda: None)
        self.reactor.turn()


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[KillReason | None]:
    """Reasons of the kills that were asked for; nobody is killed."""
    asked: list[KillReason | None] = []
    monkeypatch.setattr(Worker, "kill", lambda worker, reason=None, detail="": asked.append(reason))
    return asked


@pytest.fixture
def bench(kills: list[KillReason | None]) -> Iterator[Bench]:
    found = Bench()
    yield found
    for fd in found.theirs:
        with contextlib.suppress(OSError):
            os.close(fd)
    found.worker.close()
    found.reactor._epoll.close()


def test_a_job_that_lasts_gets_its_deadline_and_its_watch(bench: Bench, kills: list[KillReason | None]) -> None:
    """Both begin in the turn in which it was sent; the deadline counts from its dispatch."""
    assert bench.runner.run(bench.worker, bench.job)
    assert bench.worker.deadline is None
    bench.turn()
    assert bench.worker.deadline is not None
    assert abs(bench.worker.deadline.due_s - (bench.job.dispatched_s + 50.0)) < 0.001
    assert bench.runner._sampler._timer is not None
    bench.worker.deadline.callback()
    assert [KillReason.TIMEOUT] == kills


def test_a_report_that_is_there_by_then_needs_neither(bench: Bench, kills: list[KillReason | None]) -> None:
    """It is read in the turn in which the job was sent."""
    assert bench.runner.run(bench.worker, bench.job)
    bench.report()
    bench.turn()
    assert bench.worker.report is not None
    assert (None, None) == (bench.worker.deadline, bench.runner._sampler._timer)
    assert [None] == kills  # for the sake of the files that it left


def test_a_job_whose_limits_cannot_be_seen_to_is_ended(
    bench: Bench, kills: list[KillReason | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the daemon has no memory even to look, nothing goes on running without a deadline."""

    def fail(worker: Worker) -> None:
        raise MemoryError

    monkeypatch.setattr(bench.runner, "on_channel", fail)
    assert bench.runner.run(bench.worker, bench.job)
    bench.turn()
    assert [None] == kills


def test_a_report_that_was_read_is_answered_whatever_comes(
    bench: Bench, kills: list[KillReason | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the memory runs out between the report and the reply, the worker is ended, and its end brings the reply."""

    def fail(worker: Worker) -> None:
        raise MemoryError

    monkeypatch.setattr(Worker, "read_peak", fail)
    assert bench.runner.run(bench.worker, bench.job)
    bench.report()
    bench.turn()
    assert ([None], []) == (kills, bench.replies)
    bench.runner.on_death(bench.worker)
    assert ["ok"] == [reply.verdict for reply in bench.replies]


def test_a_worker_that_is_gone_has_not_got_its_job(bench: Bench) -> None:
    """Where nobody reads the channel any more, the job goes back to where it was, and nothing of its limits is left over."""
    os.close(bench.theirs[0])
    assert not bench.runner.run(bench.worker, bench.job)
    bench.turn()
    assert ([bench.worker], 0, JobState.QUEUED) == (bench.retired, bench.runner.running, bench.job.state)
    assert (bench.worker.job, bench.worker.deadline, bench.worker.unsent) == (None, None, deque())

"""A report that cannot be read costs its own job, whatever the reason, and is read once."""

from __future__ import annotations

import os
import socket
from collections import deque
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
from warmfork_daemon.reactor import Reactor
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


def test_a_worker_that_is_gone_has_not_got_its_job() -> None:
    """Where nobody reads the channel any more, the job goes back to where it was, and nothing of its limits is left over."""
    reactor, retired = Reactor(), list[Worker]()
    worker, theirs = make_worker(1, "slot", 1_000, 1_000)
    for fd in theirs:
        os.close(fd)
    worker.pid, worker.state = os.getpid(), WorkerState.BUSY
    pools = SimpleNamespace(of=lambda worker: SimpleNamespace(retire=retired.append))
    runner = JobRunner(reactor, Config(), cast(Any, pools), bytes(32), lambda *_: None, lambda *_: True)
    job = admit(ExecuteRequest(bytes(16), b"print(1)"), Peer(0, b"peer", 7, 8), Config(), 0.0)
    try:
        assert not runner.run(worker, job)
        reactor.turn()
        assert ([worker], 0, JobState.QUEUED) == (retired, runner.running, job.state)
        assert (worker.job, worker.deadline, worker.unsent) == (None, None, deque())
    finally:
        worker.close()
        reactor._epoll.close()

"""A report that cannot be read costs its own job, whatever the reason, and is read once."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from warmfork.errors import ProtocolError
from warmfork.wire.jobs import JobReport, encode_report
from warmfork.wire.stream import MessageAssembler, prefix_of
from warmfork_daemon.runner import JobRunner
from warmfork_daemon.worker import KillReason, Worker


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

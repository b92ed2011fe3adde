"""Every end of a worker has its verdict, and the sentence beside it names the limit and the remedy."""

from __future__ import annotations

import os
import signal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.results import VERDICTS, ErrorInfo
from warmfork.wire import limits
from warmfork.wire.jobs import JobReport, OutcomeWord
from warmfork.wire.messages import decode_reply, encode_reply
from warmfork.wire.replies import ResultReply
from warmfork_daemon.verdicts import Judgement, judge_exit, judge_kill, judge_report, judge_template_loss
from warmfork_daemon.worker import KillReason

MIB = 1 << 20
CORE_DUMPED = 0x80
ERROR = ErrorInfo("SomeError", "what it said", 7, "Traceback: …")


def exited(code: int) -> int:
    """The wait status of a process that left with this code."""
    return code << 8


def killed(number: int) -> Judgement:
    return judge_exit(number, cpu_used_s=0.5, cpu_limit_s=20.0)


def message_of(judgement: Judgement) -> str:
    assert judgement.error is not None
    return judgement.error.message


@pytest.mark.parametrize("exit_code", [None, 0])
def test_ok_has_no_error(exit_code: int | None) -> None:
    """A report that says ok is ok, and the exit code goes along."""
    assert Judgement("ok", None, exit_code) == judge_report(JobReport("ok", exit_code=exit_code), MIB)


@pytest.mark.parametrize("exit_code", [None, 3])
def test_an_exception_is_error_and_stays_as_it_is(exit_code: int | None) -> None:
    """Type, message, line and traceback of the job's own exception are not touched."""
    assert Judgement("error", ERROR, exit_code) == judge_report(JobReport("error", ERROR, exit_code), MIB)


@pytest.mark.parametrize("outcome", [outcome for outcome in get_args(OutcomeWord) if outcome != "ok"])
def test_a_failure_without_a_reason_still_has_an_error(outcome: str) -> None:
    """Whatever a worker leaves out, a verdict that is not ok has a type and a sentence."""
    judgement = judge_report(JobReport(outcome), MIB)
    assert outcome == judgement.verdict
    assert judgement.error is not None
    assert judgement.error.type
    assert judgement.error.message


@pytest.mark.parametrize("said", ["", "Unable to allocate 2.00 GiB"])
def test_memory_limit_by_report(said: str) -> None:
    """An uncaught MemoryError keeps what it said and where, and learns its limit and the remedy."""
    judgement = judge_report(JobReport("memory_limit", ErrorInfo("MemoryError", said, 3, "tb")), 512 * MIB)
    assert ("memory_limit", "MemoryError", 3, "tb") == (
        judgement.verdict,
        judgement.error and judgement.error.type,
        judgement.error and judgement.error.line,
        judgement.error and judgement.error.traceback,
    )
    assert message_of(judgement).startswith(f"{said or 'MemoryError'}. ")
    assert all(words in message_of(judgement) for words in ("512 MiB", "memory_bytes"))


@pytest.mark.parametrize("said", ["", "[Errno 28] No space left on device"])
def test_disk_limit_by_report(said: str) -> None:
    """An uncaught ENOSPC keeps what it said, or its type where it said nothing, and learns the remedy."""
    judgement = judge_report(JobReport("disk_limit", ErrorInfo("OSError", said, 3, "tb")), MIB)
    assert "disk_limit" == judgement.verdict
    assert message_of(judgement).startswith(f"{said or 'OSError'}. ")
    assert "smaller files" in message_of(judgement)


@pytest.mark.parametrize("outcome", [outcome for outcome in get_args(OutcomeWord) if outcome != "ok"])
@pytest.mark.parametrize("letter", ["x", "图"])
def test_the_longest_error_still_travels(outcome: str, letter: str) -> None:
    """An error as long as a report may carry can still be read by a client after the daemon added its sentence."""
    longest = ErrorInfo("E" * 500, letter * (64 * limits.KIB), 1, letter * (64 * limits.KIB))
    judgement = judge_report(JobReport(outcome, longest), MIB)
    reply = ResultReply(bytes(16), judgement.verdict, error=judgement.error)
    assert reply == decode_reply(encode_reply(reply))


KILLS = [
    (KillReason.TIMEOUT, "timeout", "Timeout", ("2.5 s", "timeout_s", "Output so far is kept")),
    (KillReason.MEMORY, "memory_limit", "MemoryLimit", ("256 MiB", "memory_bytes", "killed")),
    (KillReason.DISK, "disk_limit", "DiskLimit", ("kept more on disk", "smaller files")),
    (KillReason.CANCELLED, "cancelled", "Cancelled", ("cancelled while it ran, DETAIL",)),
    (KillReason.BAD_REPORT, "crashed", "BadReport", ("DETAIL", "could not be read", "lost")),
    (KillReason.STOPPING, "lost", "DaemonStopped", ("daemon stopped", "retry is not safe")),
]


@pytest.mark.parametrize(("reason", "verdict", "kind", "words"), KILLS)
def test_each_kill_has_its_verdict(reason: KillReason, verdict: str, kind: str, words: tuple[str, ...]) -> None:
    """The daemon's own kills: verdict, type, and a sentence with limit, remedy and detail."""
    judgement = judge_kill(reason, ", DETAIL", timeout_s=2.5, memory_bytes=256 * MIB)
    assert (verdict, kind) == (judgement.verdict, judgement.error and judgement.error.type)
    assert [] == [word for word in words if word not in message_of(judgement)]
    assert (False if verdict == "lost" else None) is judgement.retry_safe
    assert judgement.exit_code is None


def test_no_kill_reason_is_forgotten() -> None:
    """A new reason must be added to the table above, and its verdict be one of the contract's."""
    assert set(KillReason) == {reason for reason, *_ in KILLS}
    assert {verdict for _, verdict, *_ in KILLS} <= set(VERDICTS)


def test_template_loss() -> None:
    """A job whose template died is lost, and a retry is not safe."""
    judgement = judge_template_loss()
    assert ("lost", False) == (judgement.verdict, judgement.retry_safe)
    assert "retry is not safe" in message_of(judgement)


@pytest.mark.parametrize("code", [0, 1, 2, 127, 255])
def test_leaving_without_a_report_is_crashed(code: int) -> None:
    """os._exit, with 0 too, is a crash that says the code."""
    judgement = judge_exit(exited(code), cpu_used_s=99.0, cpu_limit_s=20.0)
    assert ("crashed", "WorkerExited") == (judgement.verdict, judgement.error and judgement.error.type)
    assert f"exit code {code} " in message_of(judgement)


@pytest.mark.parametrize("number", sorted(set(signal.Signals) - {signal.SIGXCPU}))
@pytest.mark.parametrize("core", [0, CORE_DUMPED])
def test_death_by_a_signal_is_crashed(number: signal.Signals, core: int) -> None:
    """Every signal is named, with or without a core."""
    judgement = killed(number | core)
    assert ("crashed", "WorkerKilled") == (judgement.verdict, judgement.error and judgement.error.type)
    assert f"killed by {number.name}." in message_of(judgement)
    assert (number == signal.SIGKILL) == ("out of memory" in message_of(judgement))


def test_a_signal_without_a_name_is_numbered() -> None:
    """Real-time signals have no name in Python."""
    assert "killed by signal 40." in message_of(killed(40))


def test_sigxcpu_is_cpu_limit() -> None:
    """SIGXCPU is the CPU limit whatever was measured, and the sentence says how much was allowed."""
    judgement = judge_exit(signal.SIGXCPU, cpu_used_s=0.0, cpu_limit_s=20.0)
    assert ("cpu_limit", "CpuLimit") == (judgement.verdict, judgement.error and judgement.error.type)
    assert "20 s of CPU" in message_of(judgement)


@pytest.mark.parametrize(("used_s", "verdict"), [(19.99, "crashed"), (20.0, "cpu_limit"), (22.5, "cpu_limit")])
def test_sigkill_is_cpu_limit_only_when_the_cpu_time_is_used_up(used_s: float, verdict: str) -> None:
    """The kernel kills who ignores SIGXCPU; a SIGKILL earlier is someone else's."""
    assert verdict == judge_exit(signal.SIGKILL, cpu_used_s=used_s, cpu_limit_s=20.0).verdict


def test_an_unknown_end_is_crashed() -> None:
    """Without a status there is still a verdict."""
    judgement = judge_exit(None, cpu_used_s=0.0, cpu_limit_s=1.0)
    assert ("crashed", "WorkerDied") == (judgement.verdict, judgement.error and judgement.error.type)


def test_real_statuses_are_read_as_the_kernel_means_them() -> None:
    """What os.wait4 gives for real processes is judged right."""
    import subprocess

    def status_of(command: str) -> int:
        with subprocess.Popen(["/bin/sh", "-c", command]) as process:
            process.returncode = 0  # the status below must not be taken by Popen
            return os.waitpid(process.pid, 0)[1]

    assert "exit code 3 " in message_of(judge_exit(status_of("exit 3"), cpu_used_s=0, cpu_limit_s=1))
    assert "SIGSEGV" in message_of(judge_exit(status_of("kill -SEGV $$"), cpu_used_s=0, cpu_limit_s=1))


@given(status=st.integers(0, (1 << 31) - 1), used_s=st.floats(0, 100))
def test_any_status_is_judged(status: int, used_s: float) -> None:
    """Invariant: whatever number comes over the control socket (it lets through up to 31 bits), there is a verdict."""
    judgement = judge_exit(status, cpu_used_s=used_s, cpu_limit_s=20.0)
    assert judgement.verdict in ("crashed", "cpu_limit")
    assert judgement.error is not None

"""From what is known of a worker's end to a verdict and the sentence that explains it. Pure: no I/O, no clock."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

from warmfork.results import ErrorInfo, Verdict
from warmfork.wire.jobs import JobReport
from warmfork_daemon.worker import KillReason

_MIB: Final = 1024 * 1024
_TOLD_CHARS_MAX: Final = 60_000  # leaves room for our sentence within the wire's bound on a message


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its explanation.

    Attributes:
        verdict: the word.
        error: None with ``ok``.
        exit_code: given to ``sys.exit``.
        retry_safe: with ``lost``, whether the job certainly did not run.
    """

    verdict: Verdict
    error: ErrorInfo | None = None
    exit_code: int | None = None
    retry_safe: bool | None = None


_OK: Final = Judgement("ok")


def judge_report(report: JobReport, memory_bytes: int) -> Judgement:
    """The verdict for a job that reported."""
    if report.outcome == "ok":
        return _OK if report.exit_code is None else Judgement("ok", None, report.exit_code)
    error = report.error or ErrorInfo("UnknownError", "the job failed without saying why")
    told = (error.message or error.type)[:_TOLD_CHARS_MAX]
    if report.outcome == "memory_limit":
        message = f"{told}. {_memory_sentence(memory_bytes)}"
        return Judgement("memory_limit", ErrorInfo(error.type, message, error.line, error.traceback))
    if report.outcome == "disk_limit":
        message = f"{told}. The job wrote more than it may keep on disk; write less or smaller files."
        return Judgement("disk_limit", ErrorInfo(error.type, message, error.line, error.traceback))
    return Judgement("error", error, report.exit_code)


def _memory_sentence(memory_bytes: int) -> str:
    size = f"{memory_bytes / _MIB:.0f} MiB"
    return f"The job is limited to {size} of memory above the idle worker; use less, or ask for more with memory_bytes."


def judge_kill(
    reason: KillReason, detail: str, *, timeout_s: float, memory_bytes: int, by_deadline: bool = False
) -> Judgement:
    """The verdict for a job that the daemon itself killed.

    Args:
        reason, detail: of the kill.
        timeout_s: seconds it had from dispatch.
        memory_bytes: its limit.
        by_deadline: its own deadline came before its timeout.
    """
    if reason is KillReason.TIMEOUT and by_deadline:
        message = "The job was killed when its deadline_s had passed, queue included. Output so far is kept."
        return Judgement("timeout", ErrorInfo("Timeout", message))
    if reason is KillReason.TIMEOUT:
        message = f"The job was killed after {timeout_s:g} s, its time limit. Output so far is kept; ask for more with timeout_s."
        return Judgement("timeout", ErrorInfo("Timeout", message))
    if reason is KillReason.MEMORY:
        return Judgement(
            "memory_limit", ErrorInfo("MemoryLimit", f"The job was killed. {_memory_sentence(memory_bytes)}")
        )
    if reason is KillReason.DISK:
        message = "The job was killed because it kept more on disk than it may; write less or smaller files."
        return Judgement("disk_limit", ErrorInfo("DiskLimit", message))
    if reason is KillReason.CANCELLED:
        return Judgement(
            "cancelled", ErrorInfo("Cancelled", f"The job was cancelled while it ran{detail}. It was killed.")
        )
    if reason is KillReason.STOPPING:
        message = (
            "The daemon stopped while the job ran; the job was killed. It may have run in part: a retry is not safe."
        )
        return Judgement("lost", ErrorInfo("DaemonStopped", message), retry_safe=False)
    message = f"The worker's report could not be read ({detail}); the job was killed and its result is lost."
    return Judgement("crashed", ErrorInfo("BadReport", message))


def judge_exit(status: int | None, *, cpu_used_s: float, cpu_limit_s: float) -> Judgement:
    """The verdict for a worker that ended by itself and without its report.

    Args:
        status: as wait4 gave it, None if the template could not say.
        cpu_used_s, cpu_limit_s: of the job.
    """
    if status is None or not (os.WIFSIGNALED(status) or os.WIFEXITED(status)):
        return Judgement("crashed", ErrorInfo("WorkerDied", "The worker died and its exit status was not learned."))
    if not os.WIFSIGNALED(status):
        code = os.waitstatus_to_exitcode(status)
        message = f"The process left with exit code {code} without finishing the job (os._exit?). Charts are not rendered then."
        return Judgement("crashed", ErrorInfo("WorkerExited", message))
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_used_s >= cpu_limit_s):
        message = f"The job used up its {cpu_limit_s:g} s of CPU time and was killed by the kernel."
        return Judgement("cpu_limit", ErrorInfo("CpuLimit", message))
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = " The machine may be out of memory." if number == signal.SIGKILL else ""
    return Judgement("crashed", ErrorInfo("WorkerKilled", f"The job's process was killed by {name}.{hint}"))


def judge_template_loss() -> Judgement:
    """The verdict for a job whose template died under it."""
    message = "The template process died and its workers with it. The job may have run in part: a retry is not safe."
    return Judgement("lost", ErrorInfo("TemplateDied", message), retry_safe=False)

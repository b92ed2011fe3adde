"""What an attempt is: a row of data that says what the job tries and what would count as having got through."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

SHOWN: Final = "reached"
NOT_RUN: Final = "not run: "

# How a job that is bound by the kernel is told no: by seccomp or a missing capability, by Landlock, by the private root.
NO: Final = ("EPERM",)
NO_FILE: Final = ("EACCES", "ENOENT", "EPERM", "EXDEV", "EROFS")
NO_PROCESS: Final = ("EPERM", "ESRCH", "EACCES", "ENOENT")
NO_DISK: Final = ("ENOSPC", "EFBIG", "EDQUOT")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One act of a hostile job.

    Attributes:
        id: unique; it is what the job prints.
        tries: what the code tries, as the end of "the job …".
        code: runs as a job after ``job_prelude.py``. It prints ``ESCAPE <id> reached OK`` or
            ``ESCAPE <id> refused <errno name>`` through the prelude's ``tell``.
        refusals: errno names that count as a refusal by the guard, with the Python layer off. Empty where the kernel
            may say yes: then only what the host sees counts (fake successes, a private /tmp).
        evidence: parts of ``World.state`` that the control run must change (``files``, ``connections`` …), or
            ``secret``: the job's result must hold the secret in the control run. In a guarded run no part of the state
            may change and no secret may be in the result, whatever stands here.
        control: ``SHOWN``, or why a run without guards cannot show the act on this machine; with ``NOT_RUN`` in front
            it is not even run without guards.
        dies: verdicts that are as good as a refusal in a guarded run, where the job dies of the act or is stopped.
        options: further arguments of ``Client.execute``.
        control_options, control_variables: what the control run has instead: room where the guarded one has a limit.
        verdicts: where given, the job's word does not count (it may not get to say one) and its verdict must be one of
            these.
        class_: set by the table that holds the attempt.
    """

    id: str
    tries: str
    code: str
    refusals: tuple[str, ...] = NO
    evidence: tuple[str, ...] = ()
    control: str = SHOWN
    dies: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    control_options: Mapping[str, Any] = field(default_factory=dict)
    control_variables: Mapping[str, Any] = field(default_factory=dict)
    verdicts: tuple[str, ...] = ()
    class_: str = ""


CLASSES: Final = (
    *("files_read", "files_written", "native_code", "processes", "signals", "network", "kernel", "machine_code"),
    *("bombs", "result_pipe", "collector", "secrets", "breakouts", "libraries"),
)


def every_attempt() -> list[Attempt]:
    """All attempts, class by class. Raises ValueError when two have the same id or the same code."""
    attempts = []
    for name in CLASSES:
        table = importlib.import_module(f"tests.escape.attempts.{name}").ATTEMPTS
        attempts += [replace(attempt, class_=name) for attempt in table]
    for what in ("id", "code"):
        seen = [getattr(attempt, what) for attempt in attempts]
        twice = sorted({one for one in seen if seen.count(one) > 1})
        if twice:
            raise ValueError(f"two attempts with the same {what}: {twice}")
    return attempts


PRELUDE: Final = (Path(__file__).parent / "job_prelude.py").read_text()

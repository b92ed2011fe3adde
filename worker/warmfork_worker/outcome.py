"""How an exception that ended a job is told: type, message, line, user frames only."""

from __future__ import annotations

import errno
import linecache
import sys
import traceback
from dataclasses import dataclass
from typing import Final

from warmfork.wire import limits
from warmfork.wire.records import ErrorInfo
from warmfork_worker.namespace import FILE_NAME

_DISK_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MESSAGE_CHARS_MAX: Final = 8_000
_TRACEBACK_CHARS_MAX: Final = 32_000

assert _TRACEBACK_CHARS_MAX < 64 * limits.KIB, "the wire's bound"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the code ended.

    Attributes:
        word: ``ok``, ``error``, ``memory_limit`` or ``disk_limit``.
        error: the uncaught exception, None with ``ok``.
        exit_code: given to ``sys.exit``, None where it was not called.
    """

    word: str
    error: ErrorInfo | None = None
    exit_code: int | None = None


def show_source(code: str) -> None:
    """Let tracebacks show the job's source lines."""
    # No modification time, so that linecache.checkcache leaves the entry alone.
    linecache.cache[FILE_NAME] = (len(code), None, code.splitlines(keepends=True), FILE_NAME)


def clean_text(text: str, chars_max: int) -> str:
    """Text that UTF-8 can carry, its middle cut out where it is longer than allowed."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= chars_max:
        return text
    half = chars_max // 2 - 30
    return f"{text[:half]}\n... [{len(text) - 2 * half} characters dropped] ...\n{text[-half:]}"


def outcome_of(problem: BaseException, work_dir: str) -> Outcome:
    """The outcome for an exception that reached the top, its traceback written to stderr as Python does."""
    if isinstance(problem, SystemExit):
        return _outcome_of_exit(problem)
    error = describe(problem, work_dir)
    sys.stderr.write(error.traceback)
    return Outcome(word_for(problem), error)


def word_for(problem: BaseException) -> str:
    """What an exception that nobody caught makes of a job: ``memory_limit``, ``disk_limit`` or ``error``."""
    if isinstance(problem, MemoryError) or (isinstance(problem, OSError) and problem.errno == errno.ENOMEM):
        return "memory_limit"
    if isinstance(problem, OSError) and problem.errno in _DISK_ERRNOS:
        return "disk_limit"
    return "error"


def _outcome_of_exit(problem: SystemExit) -> Outcome:
    code = problem.code
    if code is None or code == 0:
        return Outcome("ok", exit_code=0)
    if isinstance(code, int):
        number = max(min(int(code), (1 << 31) - 1), -(1 << 31))
        return Outcome("error", ErrorInfo("SystemExit", f"the code called sys.exit({number})"), number)
    text = clean_text(str(code), _MESSAGE_CHARS_MAX)
    sys.stderr.write(text + "\n")
    return Outcome("error", ErrorInfo("SystemExit", text), 1)


def describe(problem: BaseException, work_dir: str) -> ErrorInfo:
    """Type, message, line and traceback of an exception, user frames only. Never raises."""
    try:
        message = clean_text(str(problem), _MESSAGE_CHARS_MAX)
    except Exception as inner:  # a user's __str__ may do anything
        message = f"<no text: its __str__ raised {type(inner).__name__}>"
    try:
        told = traceback.TracebackException.from_exception(problem, compact=True)
        seen: set[int] = set()
        _keep_user_frames(told, work_dir, seen)
        text = clean_text("".join(told.format()), _TRACEBACK_CHARS_MAX)
    except Exception as inner:
        text = f"{type(problem).__name__}: {message}\n(no traceback: formatting it raised {type(inner).__name__})\n"
    return ErrorInfo(clean_text(type(problem).__name__, 400), message, _line_of(problem), text)


def _is_user_file(name: str, work_dir: str) -> bool:
    return name == FILE_NAME or name.startswith(work_dir + "/")


def _keep_user_frames(told: traceback.TracebackException, work_dir: str, seen: set[int]) -> None:
    if id(told) in seen:
        return
    seen.add(id(told))
    kept = []
    for frame in told.stack:
        if frame.filename == FILE_NAME:
            kept.append(frame)
        elif _is_user_file(frame.filename, work_dir):
            frame.filename = frame.filename[len(work_dir) + 1 :]
            kept.append(frame)
    told.stack[:] = kept
    for inner in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if inner is not None:
            _keep_user_frames(inner, work_dir, seen)


def _line_of(problem: BaseException) -> int | None:
    line = None
    if isinstance(problem, SyntaxError) and problem.filename == FILE_NAME:
        line = problem.lineno
    step = problem.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == FILE_NAME:
            line = step.tb_lineno if not isinstance(problem, SyntaxError) or line is None else line
        step = step.tb_next
    return line

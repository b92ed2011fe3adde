"""The daemon's log: one event a line, ``key=value`` or JSON, on stderr, with journald's priorities where the journal reads.

The words of an event are ours and constant; what varies stands in its fields: ``log.info("job finished",
extra=told(job=…, verdict=…))``. Code, data and output of jobs are no fields, and neither is the text of a job's error,
which can hold any of them. Whatever comes from outside is escaped and cut, so one event cannot look like two, or steer a
terminal. A line that the reader does not take at once is dropped and counted: the event loop never waits for its log.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

LogFormat = Literal["text", "json"]

_LINE_BYTES_MAX: Final = 4_000  # with prefix and line feed below PIPE_BUF: a pipe that polls writable takes it whole
_VALUE_CHARS: Final = (3_000, 800, 100)
"""Longest value in a line; the next one where the line would be too long."""
_TRACEBACK_CHARS_MAX: Final = 1_500
_WARNING_WAIT_MS: Final = 20
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,*-]+")
_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
"""Level to the number of syslog(3) that journald reads from ``<N>`` at the start of a line."""

assert _LINE_BYTES_MAX + len("<7>\n") <= select.PIPE_BUF
assert max(_VALUE_CHARS) < _LINE_BYTES_MAX


def told(**fields: object) -> dict[str, Mapping[str, object]]:
    """``extra`` of a logging call: the fields of the event, None ones left out."""
    return {"told": fields}


def escaped(text: str, chars_max: int = _VALUE_CHARS[0]) -> str:
    """``text`` cut to ``chars_max``, with everything but printable characters as an escape such as ``\\x1b``."""
    text = _cut(text, chars_max)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[:chars_max]}... ({len(text) - chars_max} more)"


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"level": record.levelname.lower(), "event": record.getMessage()}
    fields |= {name: value for name, value in getattr(record, "told", {}).items() if value is not None}
    fields["logger"] = record.name
    if record.exc_info:
        fields["exception"] = logging.Formatter().formatException(record.exc_info)[-_TRACEBACK_CHARS_MAX:]
    return fields


def _utc(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """``time=… level=info event="job finished" job=… verdict=ok``; values are quoted where they hold more than a word.

    Args:
        timed: begin with the time; the journal has its own.
    """

    def __init__(self, *, timed: bool = True) -> None:
        super().__init__()
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields_of(record)
        if self._timed:
            fields = {"time": _utc(record), **fields}
        return _shortened(lambda most: " ".join(f"{name}={_as_text(value, most)}" for name, value in fields.items()))


class BriefFormatter(logging.Formatter):
    """``warmfork: files not collected (job=…)``: for the terminal of a program that started its own daemon."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "told", {})
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        if trace:
            fields = {**fields, "exception": trace[-_TRACEBACK_CHARS_MAX:]}

        def line_of(chars_max: int) -> str:
            more = " ".join(
                f"{name}={_as_text(value, chars_max)}" for name, value in fields.items() if value is not None
            )
            return f"warmfork: {escaped(record.getMessage(), chars_max)}" + (f" ({more})" if more else "")

        return _shortened(line_of)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: ``{"time": …, "level": "info", "event": "job finished", "job": …}``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"time": _utc(record), **_fields_of(record)}
        return _shortened(lambda most: json.dumps({name: _as_json(value, most) for name, value in fields.items()}))


def _shortened(line_of: Callable[[int], str]) -> str:
    """The line with values as long as fit; cutting the line itself would leave half a value, or broken JSON."""
    line = ""
    for chars_max in _VALUE_CHARS:
        line = line_of(chars_max)
        if len(line.encode("utf-8", "backslashreplace")) <= _LINE_BYTES_MAX:
            break
    return line


def _as_text(value: object, chars_max: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    text = str(value)
    if len(text) <= chars_max and _PLAIN.fullmatch(text):
        return text
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"'), chars_max) + '"'


def _as_json(value: object, chars_max: int) -> object:
    if value is None or isinstance(value, (bool, int)):
        return value
    return round(value, 6) if isinstance(value, float) else _cut(str(value), chars_max)


class LineHandler(logging.Handler):
    """Writes lines to a descriptor that may be a pipe nobody reads: what it does not take now is dropped and counted.

    Args:
        fd: usually 2; not closed here.
        priorities: put ``<N>`` in front.

    Attributes:
        dropped: lines lost so far.
    """

    def __init__(self, fd: int, *, priorities: bool) -> None:
        super().__init__()
        self._fd = fd
        self._priorities = priorities
        self._untold = 0
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        # A moment for what an operator must not miss, none for the rest.
        if not self._writable(_WARNING_WAIT_MS if record.levelno >= logging.WARNING else 0):
            self.dropped += 1
            self._untold += 1
            return
        if self._untold:
            lost, self._untold = self._untold, 0
            words = told(lines=lost)
            note = logging.LogRecord("warmfork.log", logging.WARNING, "", 0, "log lines dropped", None, None)
            note.__dict__.update(words)
            self._write(self.format(note), note.levelno)
        self._write(line, record.levelno)

    def _writable(self, wait_ms: int) -> bool:
        return bool(self._poll.poll(wait_ms))

    def _write(self, line: str, level: int) -> None:
        prefix = f"<{_priority(level)}>" if self._priorities else ""
        data = f"{prefix}{line}".encode("utf-8", "backslashreplace")[:_LINE_BYTES_MAX] + b"\n"
        try:
            os.write(self._fd, data)
        except OSError:  # a reader that is gone; the daemon serves on
            self.dropped += 1


def _priority(level: int) -> int:
    return next((number for least, number in _PRIORITIES if level >= least), 7)


def goes_to_the_journal(fd: int, environ: Mapping[str, str] = os.environ) -> bool:
    """True when ``fd`` is the stream that systemd connected to the journal (``$JOURNAL_STREAM``, systemd.exec(5))."""
    device, colon, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        facts = os.fstat(fd)
        return bool(colon) and (int(device), int(inode)) == (facts.st_dev, facts.st_ino)
    except (OSError, ValueError):
        return False


def leave_out_what_no_line_has() -> None:
    """Collect neither caller nor thread nor process for each record (Python's Logging HOWTO, "Optimization").

    For the daemon's own process: no format here has them, and every job has a line.
    """
    logging._srcfile = ""  # no file is called so: the look through the frames is left out
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def configure_embedded(fd: int = 2) -> None:
    """Send warnings and worse to ``fd``, for people."""
    handler = LineHandler(fd, priorities=False)
    handler.setFormatter(BriefFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def configure(
    level: str, log_format: LogFormat, *, fd: int = 2, environ: Mapping[str, str] = os.environ
) -> LineHandler:
    """Send all log lines of this process to ``fd``, and no others anywhere else.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``text`` or ``json``.
        fd: where to.
        environ: says whether the journal reads there.
    """
    journal = goes_to_the_journal(fd, environ)
    handler = LineHandler(fd, priorities=journal)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(timed=not journal))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    return handler

"""The log: one event a line, whatever is in it, and a reader that does not read never holds the daemon up."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import select
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import ROOT

from warmfork.results import ErrorInfo, Usage
from warmfork.wire.replies import ResultReply
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon import logs
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.job_log import log_code, log_finished
from warmfork_daemon.logs import (
    BriefFormatter,
    JsonFormatter,
    LineHandler,
    TextFormatter,
    escaped,
    goes_to_the_journal,
    told,
)

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def record(event: str = "it happened", level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("warmfork.test", level, __file__, 1, event, None, None)
    made.__dict__.update(told(**fields))
    return made


class Pipe:
    """A descriptor to write to, with what came out."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)

    def text(self) -> str:
        data = b""
        while select.select([self.read_fd], [], [], 0)[0]:
            data += os.read(self.read_fd, 1 << 16)
        return data.decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.read_fd)
    os.close(made.write_fd)


@pytest.fixture
def root_logger() -> Iterator[None]:
    """The root logger as it was, afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_text() -> None:
    """Level, event and fields as key=value; words bare, the rest in quotes; None left out, floats short, bools as words."""
    line = TextFormatter(timed=False).format(
        record(
            "job finished", job="ab12", wall_s=0.25, ok=True, note='say "hi" \\n', empty="", nothing=None, path="/run/x"
        )
    )
    expected = (
        'level=info event="job finished" job=ab12 wall_s=0.25 ok=true note="say \\"hi\\" \\\\n" empty="" path=/run/x '
        "logger=warmfork.test"
    )
    assert expected == line


def test_text_begins_with_the_time() -> None:
    """Outside the journal a line begins with the UTC time in milliseconds."""
    assert re.match(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info ", TextFormatter().format(record()))


def test_json() -> None:
    """One JSON object with the fields as they are."""
    fields = json.loads(
        JsonFormatter().format(record("job finished", level=logging.ERROR, wall_s=0.25, pid=7, ok=False))
    )
    assert ("error", "job finished", 0.25, 7, False) == tuple(
        fields[n] for n in ("level", "event", "wall_s", "pid", "ok")
    )


@settings(deadline=None)  # the machine is shared
@given(st.text(), st.text(), st.sampled_from([TextFormatter(), JsonFormatter()]))
def test_nothing_from_outside_leaves_its_line(event: str, value: str, formatter: logging.Formatter) -> None:
    """Whatever text an event or a field has, the line is one, printable, and within its bound."""
    line = formatter.format(record(event.replace("%", "%%"), value=value))
    assert line.isprintable()
    assert len(line.encode()) <= logs._LINE_BYTES_MAX


def test_a_line_that_is_too_long_keeps_every_field() -> None:
    """Values are cut, and say how much is missing; JSON stays JSON."""
    fields = json.loads(JsonFormatter().format(record(first="\x00" * 5_000, second="b" * 5_000)))
    assert {"first", "second", "logger"} <= set(fields)
    assert fields["second"].endswith(" more)")
    assert "aaa... (7 more)" == escaped("a" * 10, 3)


def test_a_private_daemon_tells_people() -> None:
    """In the terminal of a program the event comes first and its fields follow, escaped and in one line."""
    line = BriefFormatter().format(record("files not\x1b collected", job="ab", why="a\nb", nothing=None))
    assert 'warmfork: files not\\x1b collected (job=ab why="a\\nb")' == line
    assert "warmfork: plain" == BriefFormatter().format(record("plain"))


def test_control_characters_are_escaped() -> None:
    """Escape, line feed and the characters that turn text around come out as escapes."""
    assert "a\\x1b[31m\\nb\\u202ec" == escaped("a\x1b[31m\nb\u202ec")


def test_a_traceback_is_one_line() -> None:
    """An exception is a field, its line breaks escaped."""
    try:
        raise ValueError("first\nsecond")
    except ValueError as problem:
        made = record()
        made.exc_info = (type(problem), problem, problem.__traceback__)
    line = TextFormatter().format(made)
    assert "ValueError: first\\nsecond" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_priorities(pipe: Pipe, level: int, number: int) -> None:
    """For the journal each line begins with the priority of its level."""
    handler = LineHandler(pipe.write_fd, priorities=True)
    handler.setFormatter(TextFormatter(timed=False))
    handler.handle(record(level=level))
    assert pipe.text().startswith(f"<{number}>level=")


def test_the_journal_is_known_by_its_stream(pipe: Pipe) -> None:
    """$JOURNAL_STREAM must name the very descriptor; one that was redirected since is not the journal."""
    facts = os.fstat(pipe.write_fd)
    there = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
    answers = [
        goes_to_the_journal(pipe.write_fd, environ)
        for environ in (there, {}, {"JOURNAL_STREAM": "1:2"}, {"JOURNAL_STREAM": "x"})
    ]
    assert [True, False, False, False] == answers


def test_a_full_pipe_costs_lines_and_no_time(pipe: Pipe) -> None:
    """What nobody reads is dropped and counted; the next line that gets through is preceded by the number."""
    handler = LineHandler(pipe.write_fd, priorities=False)
    handler.setFormatter(TextFormatter(timed=False))
    for _ in range(2_000):
        handler.handle(record(filler="f" * 500))
    assert handler.dropped > 0
    dropped = handler.dropped
    pipe.text()
    handler.handle(record("afterwards"))
    first, second = pipe.text().splitlines()
    assert f'level=warning event="log lines dropped" lines={dropped} logger=warmfork.log' == first
    assert "event=afterwards" in second


def test_a_reader_that_is_gone_is_no_matter(pipe: Pipe) -> None:
    """With the reading end closed nothing is raised."""
    os.close(pipe.read_fd)
    handler = LineHandler(pipe.write_fd, priorities=False)
    handler.handle(record())
    pipe.read_fd = os.dup(pipe.write_fd)
    assert 1 == handler.dropped


@pytest.mark.usefixtures("root_logger")
def test_configure(pipe: Pipe) -> None:
    """One handler, the level and the format asked for; a second call replaces the first."""
    logs.configure("info", "text", fd=pipe.write_fd, environ={})
    logs.configure("warning", "json", fd=pipe.write_fd, environ={})
    logging.getLogger("warmfork.any").info("not this")
    logging.getLogger("warmfork.any").warning("but this")
    (line,) = pipe.text().splitlines()
    assert "but this" == json.loads(line)["event"]


def job(code: str = "print('the code')") -> Job:
    request = ExecuteRequest(id=bytes(range(16)), code=code.encode())
    return Job(request, Peer(0, b"r", 1000, 77), "strict", 10.0, 1 << 30, 20, 1.0, 9.0, dispatched_s=1.5)


def reply(**more: Any) -> ResultReply:
    usage = Usage(wall_s=0.5, cpu_s=0.25, peak_memory_bytes=4096, queue_s=0.5)
    return ResultReply(bytes(range(16)), "error", usage=usage, **more)


def test_the_line_of_a_finished_job(caplog: pytest.LogCaptureFixture) -> None:
    """It says who asked, what became of it and what it cost; of what the job wrote itself, only the kind of its error."""
    error = ErrorInfo("Bad\nevent=forged", "secret=hunter2")
    with caplog.at_level(logging.INFO):
        log_finished(job(), reply(error=error), delivered=True)
    line = TextFormatter(timed=False).format(caplog.records[0])
    expected = (
        'level=info event="job finished" job=000102030405060708090a0b0c0d0e0f verdict=error error="Bad\\nevent=forged" '
        "template=science policy=strict uid=1000 pid=77 queue_s=0.5 wall_s=0.5 cpu_s=0.25 peak_memory_bytes=4096 charts=0 "
        "logger=warmfork.job"
    )
    assert expected == line


def test_code_is_logged_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    """The line with the code has the job's id, and the code in one line."""
    with caplog.at_level(logging.INFO):
        log_code(job("a = 1\nb = 2"))
    assert 'code="a = 1\\nb = 2"' in TextFormatter().format(caplog.records[0])


def events_of_the_daemon() -> dict[str, str]:
    """The event of each logging call in the daemon's source, with its level; a call that is written otherwise fails."""
    found = {}
    for path in sorted((ROOT / "daemon" / "warmfork_daemon").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func.value) != "log" or node.func.attr not in LEVELS:
                continue
            where = f"{path.name}:{node.lineno}"
            assert 1 == len(node.args), f"{where}: one event, and what it is about in extra"
            (event,) = node.args
            assert isinstance(event, ast.Constant), f"{where}: the event is a fixed text"
            assert "%" not in str(event.value), where
            extra = [ast.unparse(one.value) for one in node.keywords if one.arg == "extra"]
            assert all(one.startswith("told(") for one in extra), where
            found[str(event.value)] = node.func.attr
    return found


def test_every_line_is_one_fixed_event_with_its_fields() -> None:
    """No call of the daemon puts values into the event, so that lines can be counted by it."""
    assert len(events_of_the_daemon()) > 25


def test_the_manual_names_events_that_there_are() -> None:
    """What the manual's table of the log says an operator will find is what the daemon writes."""
    text = (ROOT / "docs" / "operations.md").read_text().split("### Logs")[1].split("## Alert")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [event for row in rows for event in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 25
    events = events_of_the_daemon()
    assert set() == set(named) - set(events) - {"log lines dropped"}
    assert set() == {event for event, level in events.items() if level not in ("info", "debug")} - set(named)

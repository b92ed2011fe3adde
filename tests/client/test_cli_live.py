"""``warmfork run`` prints while the job runs, and what it prints does not depend on how the text was cut."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.cli.live import JobTextWriter, LiveOutput
from warmfork.cli.terminal import write_job_text
from warmfork.results import Result

hostile = st.text(alphabet="a\n\r\x1b[]0;\x07é\x9b\u202e", max_size=40)


class Screen(io.TextIOWrapper):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def written(kind: type[io.TextIOWrapper], pieces: list[str]) -> bytes:
    buffer = io.BytesIO()
    stream = kind(buffer, encoding="utf-8")
    writer = JobTextWriter(stream)
    for piece in pieces:
        writer.write(piece)
    writer.end()
    return buffer.getvalue()


def at_once(kind: type[io.TextIOWrapper], text: str) -> bytes:
    buffer = io.BytesIO()
    stream = kind(buffer, encoding="utf-8")
    write_job_text(text, stream)
    return buffer.getvalue()


@given(st.lists(hostile, max_size=8), st.sampled_from([Screen, io.TextIOWrapper]))
def test_cuts_do_not_show(pieces: list[str], kind: type[io.TextIOWrapper]) -> None:
    """Invariant: in any pieces, escape sequences and line ends cut anywhere, what is written is as if it came at once."""
    assert at_once(kind, "".join(pieces)) == written(kind, pieces)


def test_an_escape_sequence_in_pieces_is_disarmed() -> None:
    """A terminal never gets an escape character, however a sequence is split."""
    assert b"\\x1b]0;owned\\x07\n" == written(Screen, ["\x1b", "]0;ow", "ned", "\x07"])


def test_text_is_out_at_once() -> None:
    """Nothing but a carriage return that may begin a line end is held back."""
    buffer = io.BytesIO()
    writer = JobTextWriter(Screen(buffer, encoding="utf-8"))
    writer.write("no line end yet")
    assert b"no line end yet" == buffer.getvalue()


class Pipe(io.TextIOWrapper):
    """A stream whose reader has gone."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_broken_pipe_is_told_once_and_raised_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first failed write ends the writing; ``finish`` raises it."""
    monkeypatch.setattr(sys, "stdout", Pipe(io.BytesIO()))
    live, told = LiveOutput(), []
    live.on_broken_pipe = lambda: told.append(1)
    live("stdout", "x")
    live("stdout", "y")
    assert [1] == told
    with pytest.raises(BrokenPipeError):
        live.finish(Result("0" * 32, "ok", "xy"))
    monkeypatch.undo()


def test_the_rest_of_the_result_is_written_at_the_end(capfdbinary: Any) -> None:
    """What was not streamed, because the job was too short for it, comes at the end; nothing comes twice."""
    live = LiveOutput()
    live("stdout", "one ")
    live.finish(Result("0" * 32, "ok", "one two\n", "err\n"))
    out, err = capfdbinary.readouterr()
    assert (b"one two\n", b"err\n") == (out, err)

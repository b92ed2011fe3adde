"""Output while a job runs: whatever messages come, the callback gets the result's text, once and in order."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.exchange import lost_result, text_of
from warmfork.results import Result
from warmfork.streaming import OutputFeed
from warmfork.wire.replies import OutputReply, StreamText

JOB = bytes(16)
texts = st.text(alphabet="aé中😀\n", max_size=40).map(str.encode)


class Heard:
    """A callback that remembers."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []

    def __call__(self, stream: str, text: str) -> None:
        assert text
        self.pieces.append((stream, text))

    def of(self, stream: str) -> str:
        return "".join(text for name, text in self.pieces if name == stream)


def result_with(stdout: StreamText) -> Result:
    return Result(JOB.hex(), "ok", text_of(stdout))


@given(
    head=st.one_of(texts, st.binary(max_size=40)),
    tail=texts,
    dropped=st.integers(0, 1_000),
    cuts=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=8),
)
def test_all_that_is_told_is_the_results_text(
    head: bytes, tail: bytes, dropped: int, cuts: list[tuple[int, int]]
) -> None:
    """Invariant: messages missing, doubled, overlapping or cut within characters: the callback gets exactly the text."""
    heard = Heard()
    feed = OutputFeed(heard)
    for seq, (offset, size) in enumerate(sorted(cuts)):
        data = head[offset : offset + size]
        if data:
            feed.take(OutputReply(JOB, "stdout", seq, offset, data))
    result = result_with(StreamText(head, tail if dropped else b"", dropped))
    assert result == feed.finish(result)
    assert result.stdout == heard.of("stdout")
    assert "" == heard.of("stderr")


def test_text_is_told_as_it_comes_and_never_half_a_character() -> None:
    """A character whose bytes come in two messages is told with the second one; the streams do not mix."""
    heard = Heard()
    feed = OutputFeed(heard)
    first, second = "é".encode()[:1], "é".encode()[1:]
    feed.take(OutputReply(JOB, "stdout", 0, 0, b"a" + first))
    feed.take(OutputReply(JOB, "stderr", 1, 0, b"e"))
    feed.take(OutputReply(JOB, "stdout", 2, 2, second + b"b"))
    assert [("stdout", "a"), ("stderr", "e"), ("stdout", "éb")] == heard.pieces


def test_what_follows_a_gap_waits_for_the_result() -> None:
    """A message that was lost leaves no hole in the text: what comes after it is told at the end."""
    heard = Heard()
    feed = OutputFeed(heard)
    feed.take(OutputReply(JOB, "stdout", 0, 0, b"one "))
    feed.take(OutputReply(JOB, "stdout", 2, 8, b"three"))
    assert "one " == heard.of("stdout")
    feed.finish(result_with(StreamText(b"one two three")))
    assert [("stdout", "one "), ("stdout", "two three")] == heard.pieces


def test_a_callback_that_raises_is_called_once_and_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The exception is logged with its traceback, the callback is left alone from then on, the result is whole."""
    calls: list[str] = []

    def break_down(stream: str, text: str) -> None:
        calls.append(text)
        raise RuntimeError("the screen is gone")

    feed = OutputFeed(break_down)
    result = result_with(StreamText(b"one two"))
    with caplog.at_level(logging.ERROR, "warmfork.client"):
        feed.take(OutputReply(JOB, "stdout", 0, 0, b"one "))
        feed.take(OutputReply(JOB, "stdout", 1, 4, b"two"))
        assert result is feed.finish(result)
    assert ["one "] == calls
    assert "the screen is gone" in caplog.text


def test_an_interrupt_in_the_callback_is_not_swallowed() -> None:
    """KeyboardInterrupt goes through to whoever called ``execute``."""

    def interrupt(stream: str, text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OutputFeed(interrupt).take(OutputReply(JOB, "stdout", 0, 0, b"x"))


def test_a_lost_job_keeps_the_output_that_had_come() -> None:
    """The result made for an ended connection has the text that was streamed before."""
    feed = OutputFeed(Heard())
    feed.take(OutputReply(JOB, "stdout", 0, 0, b"half"))
    feed.take(OutputReply(JOB, "stderr", 1, 0, b"way"))
    result = feed.finish(lost_result(JOB))
    assert ("lost", "half", "way") == (result.verdict, result.stdout, result.stderr)


def test_without_a_callback_nothing_is_kept() -> None:
    """Messages that nobody asked for are ignored."""
    feed = OutputFeed(None)
    feed.take(OutputReply(JOB, "stdout", 0, 0, b"x"))
    assert lost_result(JOB) == feed.finish(lost_result(JOB))

"""CONTRACT row 13 in the daemon: a reply's text is redacted before it leaves, cut edges included, within the wire's bounds."""

from __future__ import annotations

import time

import pytest

from warmfork.redaction import MASK
from warmfork.results import Dropped, ErrorInfo
from warmfork.wire import limits
from warmfork.wire.messages import decode_reply, decode_request, encode_reply, encode_request
from warmfork.wire.replies import ResultReply, SignedChart, StreamText
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.output import BoundedOutput
from warmfork_daemon.redacting import STREAM_BYTES_MAX, redact_error, redact_stream, redacted

JOB_ID = bytes(range(16))
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SECRETS = [
    f"bearer {JWT} end",
    "url postgres://user:pass-word@host/db end",
    "PASSWORD=correct-horse-battery end",
    'config {"password": "correct horse battery staple"} end',
    "\nDATABASE_HOST=db.internal host\nCACHE_HOST=cache.internal host\nQUEUE_HOST=queue.internal host\nend",
]
LEAKS = [
    "hbGci",
    "sdWIi",
    "dBjft",
    "OEjXk",
    "pass-",
    "word@",
    "@host",
    "corr",
    "horse",
    "battery",
    "staple",
    "internal",
]


def leaks(text: str) -> list[str]:
    return [leak for leak in LEAKS if leak in text]


def kept(text: bytes, bytes_max: int) -> StreamText:
    output = BoundedOutput(bytes_max)
    output.add(text)
    return output.text()


@pytest.mark.parametrize("secret", SECRETS)
def test_row_13_every_text_of_a_reply(secret: str) -> None:
    """Streams, error type, message, traceback and chart titles are masked; all else is as it was, and it travels."""
    stream = StreamText(f"before\n{secret}\n".encode())
    chart = SignedChart(b"x", "image/png", 1, 1, bytes(32), title=secret)
    error = ErrorInfo(f"E{secret}", f"m {secret}", 3, f"t\n{secret}\n")
    reply = ResultReply(JOB_ID, "error", stream, stream, error, (chart,), policy="strict", exit_code=3)
    answer = redacted(reply)
    assert answer.error is not None
    texts = [answer.stdout.head.decode(), answer.stderr.head.decode(), answer.charts[0].title]
    texts += [answer.error.type, answer.error.message, answer.error.traceback]
    assert [[]] * 6 == [leaks(text) for text in texts]
    assert [True] * 6 == [MASK in text for text in texts]
    assert (3, b"x", bytes(32), 3, "strict") == (
        answer.error.line,
        answer.charts[0].data,
        answer.charts[0].signature,
        answer.exit_code,
        answer.policy,
    )
    assert answer == decode_reply(encode_reply(answer))


def test_ordinary_text_is_left_alone() -> None:
    """A reply with nothing to hide is the same reply."""
    error = ErrorInfo("ValueError", "no such column: 'sales'", 3, "Traceback (most recent call last):\n")
    stream = StreamText("mean 3.5 ± 0.2\n价格\n".encode())
    reply = ResultReply(JOB_ID, "error", stream, StreamText(), error)
    assert reply == redacted(reply)


@pytest.mark.parametrize("secret", SECRETS)
def test_row_13_a_secret_across_the_cut_of_a_stream(secret: str) -> None:
    """Wherever a bounded stream was cut, no piece of a secret that touches the edge leaves, and the count stays right."""
    text = f"first line\nsecond line {secret}\nlast line of it\n".encode()
    for bytes_max in range(24, len(text)):
        stream = kept(text, bytes_max)
        answer = redact_stream(stream)
        assert [] == leaks(answer.head.decode() + answer.tail.decode()), bytes_max
        assert stream.dropped == answer.dropped


@pytest.mark.parametrize("secret", SECRETS)
def test_row_13_a_secret_across_the_cut_of_an_error(secret: str) -> None:
    """Where the worker cut the middle out of a message or traceback, also on stderr, both edges are masked."""
    text = f"first line {secret} x" + "." * 30
    for cut in range(12, len(text)):
        note = "\n... [30 characters dropped] ...\n"
        shown = f"{text[:cut]}{note}{text[cut:]}"
        error = redact_error(ErrorInfo("E", shown, 1, f"{shown}\nmore\n"))
        stream = redact_stream(StreamText(shown.encode()))
        assert [] == leaks(error.message + error.traceback + stream.head.decode()), cut
        assert note in error.message


def test_a_cut_within_a_character() -> None:
    """Half a character at an edge is replaced, never an exception."""
    text = ("价" * 20).encode()
    for bytes_max in range(8, 30):
        answer = redact_stream(kept(text, bytes_max))
        answer.head.decode()
        answer.tail.decode()


def test_masks_never_break_the_wire() -> None:
    """A report at the wire's bounds, each word of it a short secret, is longer when masked, and is cut to fit."""
    text = "pwd=x " * 11_000
    error = ErrorInfo("pwd=x " * 83, text[: 64 * limits.KIB], 1, text[: 64 * limits.KIB])
    chart = SignedChart(b"x", "image/png", 1, 1, bytes(32), title=("pwd=x " * 90)[: limits.TITLE_CHARS_MAX])
    reply = redacted(ResultReply(JOB_ID, "error", error=error, charts=(chart,)))
    assert reply == decode_reply(encode_reply(reply))
    assert reply.error is not None
    assert "pwd=x" not in reply.error.message + reply.error.type + reply.charts[0].title


@pytest.mark.parametrize("bytes_max", [STREAM_BYTES_MAX, 16 << 20])
@pytest.mark.parametrize("piece", ["pwd-", "eyJa.b ", "A=\n", "line of text\n"])
def test_row_13_redaction_holds_the_loop_for_a_bounded_time(piece: str, bytes_max: int) -> None:
    """However much output the daemon keeps, at most 256 KiB of a stream are looked at; the rest is dropped and counted."""
    text = piece.encode() * ((8 << 20) // len(piece))
    stream = kept(text, bytes_max)
    began = time.process_time()
    answer = redact_stream(stream)
    assert time.process_time() - began < 1.5
    assert len(text) - STREAM_BYTES_MAX == answer.dropped
    assert answer.dropped == redacted(ResultReply(JOB_ID, "ok", stream)).dropped.stdout_bytes
    assert Dropped() == redacted(ResultReply(JOB_ID, "ok", StreamText(text[:1000]))).dropped


def test_the_wish_travels_and_older_peers_are_fine() -> None:
    """A request that does not ask is the same bytes as before there was the field; one that asks says so."""
    plain, asking = ExecuteRequest(JOB_ID, b"x"), ExecuteRequest(JOB_ID, b"x", redact=True)
    assert b"redact" not in bytes(encode_request(plain)[0])
    assert plain == decode_request(encode_request(plain))
    assert asking == decode_request(encode_request(asking))

"""Bounded output keeps the true head and tail of a stream and counts what fell between."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.wire.replies import StreamText
from warmfork_daemon.output import BoundedOutput, DrainedPipe

READ_BYTES = 256 * 1024
DRAIN_BYTES_MAX = 8 * READ_BYTES


def kept(output: BoundedOutput) -> int:
    """Bytes that the object holds, dropped or not."""
    return len(output._head) + sum(map(len, output._tail))


@given(bytes_max=st.integers(0, 40), chunks=st.lists(st.binary(max_size=50), max_size=30))
def test_head_tail_and_count_are_true(bytes_max: int, chunks: list[bytes]) -> None:
    """Invariant: however a stream is cut into chunks, head is its start, tail its end, the count the difference."""
    output, whole = BoundedOutput(bytes_max), b"".join(chunks)
    for chunk in chunks:
        output.add(chunk)
    text = output.text()
    assert len(whole) == len(text.head) + len(text.tail) + text.dropped
    assert whole.startswith(text.head)
    assert whole.endswith(text.tail)
    assert min(len(whole), bytes_max) == len(text.head) + len(text.tail)
    if text.dropped:
        assert (bytes_max - bytes_max // 2, bytes_max // 2) == (len(text.head), len(text.tail))
    else:
        assert StreamText(whole) == text


@given(bytes_max=st.integers(0, 40), chunks=st.lists(st.binary(max_size=50), max_size=30))
def test_memory_is_bounded_at_every_moment(bytes_max: int, chunks: list[bytes]) -> None:
    """Invariant: after each chunk, no more than the bound and one chunk is held, in no more pieces than bytes."""
    output = BoundedOutput(bytes_max)
    for chunk in chunks:
        output.add(chunk)
        assert kept(output) <= bytes_max + 50
        assert len(output._tail) <= max(1, bytes_max)


@given(chunks=st.lists(st.binary(max_size=20), max_size=20), bytes_max=st.integers(0, 30))
def test_reading_changes_nothing(chunks: list[bytes], bytes_max: int) -> None:
    """Invariant: the text so far can be asked for at any time, and the next bytes are taken as before."""
    asked, unasked = BoundedOutput(bytes_max), BoundedOutput(bytes_max)
    for chunk in chunks:
        asked.add(chunk)
        assert asked.text() == asked.text()
        unasked.add(chunk)
    assert unasked.text() == asked.text()


def test_nothing_is_nothing() -> None:
    """A stream without a byte is empty, with nothing dropped."""
    assert StreamText() == BoundedOutput(10).text()


def test_the_bound_itself_is_not_cut() -> None:
    """As many bytes as allowed come whole, one more drops one out of the middle."""
    output = BoundedOutput(10)
    output.add(b"0123456789")
    assert StreamText(b"0123456789") == output.text()
    output.add(b"X")
    assert StreamText(b"01234", b"6789X", 1) == output.text()


def test_one_huge_chunk() -> None:
    """A chunk far over the bound is cut, not kept."""
    output = BoundedOutput(10)
    output.add(b"a" * 5 + b"b" * 1_000_000 + b"c" * 5)
    assert StreamText(b"aaaaa", b"ccccc", 1_000_000) == output.text()


@pytest.fixture
def pipe() -> Iterator[tuple[DrainedPipe, int]]:
    """A drained pipe of 1,000 bytes and the other end, a blocking descriptor that the test may close."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    drained = DrainedPipe(reading, 1_000)
    yield drained, writing
    drained.close()
    with contextlib.suppress(OSError):  # where the test has closed it
        os.close(writing)


def test_an_empty_pipe_is_not_waited_for(pipe: tuple[DrainedPipe, int]) -> None:
    """Draining returns at once when there is nothing, and what comes later is read later."""
    drained, writing = pipe
    drained.drain()
    assert StreamText() == drained.output.text()
    os.write(writing, b"one ")
    drained.drain()
    os.write(writing, b"two")
    drained.drain()
    assert StreamText(b"one two") == drained.output.text()


def test_a_pipe_of_packets_is_drained(pipe: tuple[DrainedPipe, int]) -> None:
    """A job can switch its pipe to packets, of which a read gives one at a time: all of them are taken."""
    drained, writing = pipe
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_DIRECT)
    for number in range(5):
        os.write(writing, b"%d " % number)
    drained.drain()
    assert StreamText(b"0 1 2 3 4 ") == drained.output.text()


def test_the_end_closes_and_keeps(pipe: tuple[DrainedPipe, int]) -> None:
    """At the end of the stream the descriptor is closed once; what was read stays, and further calls do nothing."""
    drained, writing = pipe
    fd = drained._fd
    os.write(writing, b"last words")
    os.close(writing)
    drained.drain()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    drained.drain()
    drained.close()
    drained.close()
    assert StreamText(b"last words") == drained.output.text()


def test_closing_twice_closes_no_strangers_descriptor(pipe: tuple[DrainedPipe, int]) -> None:
    """A second close does not hit whoever got the same number since."""
    drained, writing = pipe
    fd = drained._fd
    drained.close()
    reused = os.dup(writing)
    try:
        assert fd == reused
        drained.close()
        drained.drain()
        os.fstat(reused)
    finally:
        os.close(reused)


def test_a_flood_does_not_hold_the_loop(pipe: tuple[DrainedPipe, int]) -> None:
    """While someone writes without end, each call to drain comes back, having read at most 2 MiB."""
    drained, writing = pipe
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                os.write(writing, b"f" * 65_536)
            except BrokenPipeError:
                return

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        total = 0
        while total < 3 * DRAIN_BYTES_MAX:
            before = drained.output._total
            drained.drain()
            assert drained.output._total - before <= DRAIN_BYTES_MAX
            assert kept(drained.output) <= 1_000 + READ_BYTES
            total = drained.output._total
    finally:
        stop.set()
        drained.close()
        flooding.join()
    text = drained.output.text()
    assert (500, 500, total - 1_000) == (len(text.head), len(text.tail), text.dropped)

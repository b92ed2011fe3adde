"""The job channel's framing: a message is the same however the stream is cut."""

from __future__ import annotations

import contextlib
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.errors import ProtocolError
from warmfork.wire import codec, jobs, limits, reports, stream

messages = st.lists(st.binary(max_size=60), min_size=1, max_size=6)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def assemble(pieces: list[bytes], bytes_max: int = 10_000) -> tuple[list[bytes] | None, str]:
    """What comes of these pieces: the frames, or the word "refused"."""
    assembler = stream.MessageAssembler(bytes_max)
    try:
        for piece in pieces:
            assembler.feed(piece)
    except ProtocolError:
        return None, "refused"
    return (None, "") if assembler.frames is None else ([bytes(frame) for frame in assembler.frames], "")


@given(messages, st.lists(st.integers(0, 10_000), max_size=8), st.binary(max_size=20))
def test_a_message_is_the_same_whole_or_split(frames: list[bytes], places: list[int], after: bytes) -> None:
    """However the bytes are cut, the same frames come out and what follows them is left alone."""
    whole = stream.prefix_of(frames) + b"".join(frames) + after
    assert (frames, "") == assemble(cut(whole, places))


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=8))
def test_garbage_ends_the_same_whole_or_split(data: bytes, places: list[int]) -> None:
    """Invariant: any bytes assemble, wait for more, or raise ProtocolError, and the cuts do not matter."""
    assert assemble([data]) == assemble(cut(data, places))


@given(st.binary(max_size=60), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
def test_hostile_sizes_are_refused_before_their_bytes_are_kept(tail: bytes, sizes: list[int]) -> None:
    """Sizes beyond the bound are refused as soon as they are read."""
    data = b"WFK1" + struct.pack(">I", len(sizes)) + struct.pack(f">{len(sizes)}Q", *sizes) + tail
    assembler = stream.MessageAssembler(1_000)
    if sum(sizes) > 1_000:
        with pytest.raises(ProtocolError):
            assembler.feed(data)
    else:
        assert len(data) >= assembler.feed(data)


def test_the_number_of_frames_is_bounded() -> None:
    """A prefix that announces a flood of frames is refused before their sizes are read."""
    with pytest.raises(ProtocolError, match="frames where"):
        stream.MessageAssembler().feed(b"WFK1" + struct.pack(">I", limits.PARTS_MAX + 2))


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=4))
def test_any_report_decodes_or_raises_protocol_error(frames: list[bytes]) -> None:
    """Invariant: no frames whatever make the report's or the order's decoder raise anything but ProtocolError."""
    for decode in (reports.decode_report, jobs.decode_order):
        with contextlib.suppress(ProtocolError):
            decode(frames)


@given(st.lists(st.floats(allow_nan=False), min_size=4, max_size=4))
def test_the_plain_report_is_one_like_any_other(times_s: list[float]) -> None:
    """What has a short way of its own is byte for byte what the long way gives."""
    report = jobs.JobReport("ok", times_s=tuple(times_s))
    assert [jobs._pack_report(jobs._report_header(report, []))] == jobs.encode_report(report)


def test_a_report_comes_back() -> None:
    """A report decodes to what was encoded, rendered charts and saved files alike."""
    report = jobs.JobReport(
        "error",
        None,
        3,
        (
            jobs.ReportedChart("image/png", 10, 20, 1, "标题", b"png"),
            jobs.ReportedChart("image/png", 1, 2, None, "", None, "out/a.png"),
        ),
        4,
        (1.0, 2.0, 3.5, 4.0),
    )
    assert report == reports.decode_report([bytes(frame) for frame in jobs.encode_report(report)])


@pytest.mark.parametrize(
    "times_s", [None, "1234", [1.0, 2.0, 3.0], [1.0] * 5, [1.0, 2.0, 3.0, "4"], [1.0, 2.0, 3.0, float("nan")], [-1.0] * 4,
                [1.0, 2.0, 3.0, float("inf")], [True] * 4, [1 << 62] * 4, {"a": 1}]
)  # fmt: skip
def test_times_that_are_none_cost_the_report_nothing_else(times_s: object) -> None:
    """A job may have broken its worker's clock: its outcome stands, and only the times are gone."""
    header = {"v": 1, "type": "report", "outcome": "ok", "parts": [], "times_s": times_s}
    assert jobs.JobReport("ok") == reports.decode_report([codec.pack(header)])

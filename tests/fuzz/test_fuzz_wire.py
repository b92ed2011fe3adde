"""The daemon's parsers of bytes: any bytes are a valid record or ``ProtocolError``, in bounded memory, and never a hang."""

from __future__ import annotations

import contextlib
import itertools
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.mutation import FUZZ, announcing, mutated, plain, replaced

from warmfork.errors import ProtocolError
from warmfork.results import Dropped, ErrorInfo, Usage
from warmfork.wire import codec, control, headers, jobs, limits, messages, reports, stream, values
from warmfork.wire.names import check_file_name
from warmfork.wire.records import InputFile, LibraryInfo, TemplateInfo
from warmfork.wire.replies import (
    CancelReply,
    ErrorReply,
    HelloReply,
    Reply,
    ResultReply,
    SignedChart,
    StatusReply,
    StreamText,
)
from warmfork.wire.requests import CancelRequest, ExecuteRequest, HelloRequest, Request, StatusRequest
from warmfork.wire.signature import chart_is_authentic, sign_chart

Frames = Sequence[bytes | memoryview]
ID = bytes(range(16))
REQUESTS: list[Request] = [
    HelloRequest(ID),
    StatusRequest(ID),
    CancelRequest(ID, bytes(16)),
    ExecuteRequest(ID, b"print(1)"),
    ExecuteRequest(ID, b"x", b"\x80", b"in", (InputFile("a/b.csv", b"1"),), 1.5, 9.0, 1 << 30, ("png",), "off", "t", {"a": 1}),
]  # fmt: skip
ERROR = ErrorInfo("ValueError", "message", 3, "Traceback")
REPLIES: list[Reply] = [
    HelloReply(ID, "0.1", 1, (TemplateInfo("science", "3.11", (LibraryInfo("numpy", "2", 0.1),), "font"),), ("off",), {"a": 1}),
    StatusReply(ID, {"a": {"b": [1]}}),
    CancelReply(ID, "running"),
    ErrorReply(ID, "bad_request", "message"),
    ResultReply(
        ID, "error", StreamText(b"out", b"tail", 7), StreamText(b"err"), ERROR,
        (SignedChart(b"png", "image/png", 1, 2, bytes(32), 1, "title", "a.png"),),
        (InputFile("f", b"1"),), Usage(1.0, 1.0, 1, 0.5), Dropped(7, 0, 1, 2), 3, 1.5, True, "strict",
    ),
]  # fmt: skip
REPORT = jobs.JobReport("error", ERROR, 3, (jobs.ReportedChart("image/png", 1, 2, 1, "t", b"png"),), 4)
ORDER = jobs.JobOrder(b"code", b"\x80", b"in", (InputFile("a", b"1"),), ("png",), "off", {"a": 1}, 1, 2, 3)
MESSAGES: list[Frames] = [
    *[messages.encode_request(request) for request in REQUESTS],
    *[messages.encode_reply(reply) for reply in REPLIES],
    jobs.encode_report(REPORT),
    jobs.encode_order(ORDER),
]
HEADERS = [bytes(message[0]) for message in MESSAGES]
STREAMS = [stream.prefix_of(message) + b"".join(map(bytes, message)) for message in MESSAGES]
PACKETS = [
    control.encode(record)
    for record in (
        control.Fork(1, "slot"),
        control.Release(1),
        control.Forked(1, 2),
        control.ForkFailed(1, "why"),
        control.Exited(1, 9, 0.5),
    )
]
VARIABLES = [
    values.pack_variables({"a": (1, {2: frozenset([3])}), "b": 1 + 2j, "c": 1 << 99, "d": {(1, 2): {b"x"}}, "e": [None, 1.5]}),
]  # fmt: skip
DECODERS: list[Callable[[Frames], object]] = [
    messages.decode_request,
    messages.decode_reply,
    reports.decode_report,
    jobs.decode_order,
]


def decoded(decode: Callable[[Any], object], data: Any) -> object:
    """The record, or None for ``ProtocolError``; any other exception is the test's failure."""
    problem = ""
    try:
        return decode(data)
    except ProtocolError as raised:
        problem = str(raised)
    assert len(problem) < 1_000
    return None


def is_plain(value: Any) -> bool:
    """True for what a codec without extensions may give, all the way down."""
    if type(value) is list:
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(type(key) is str and is_plain(inner) for key, inner in value.items())
    return type(value) in (type(None), bool, int, float, str, bytes)


@FUZZ
@given(st.binary(max_size=300) | announcing | mutated(HEADERS))
def test_the_codec_gives_plain_data_alone(data: bytes) -> None:
    """Invariant: what decodes is made of plain types with text keys, and decodes to the same after it is packed again."""
    with contextlib.suppress(ProtocolError):
        value = codec.unpack(data)
        assert is_plain(value)
        assert repr(value) == repr(codec.unpack(codec.pack(value)))


@FUZZ
@given(announcing)
def test_announced_sizes_take_no_memory(data: bytes) -> None:
    """Invariant: a hundred bytes that announce gigabytes make the decoder take less than a MiB."""
    tracemalloc.start()
    try:
        for unpack in (codec.unpack, values.unpack_variables):
            with contextlib.suppress(ProtocolError):
                unpack(data)
        assert tracemalloc.get_traced_memory()[1] < limits.MIB
    finally:
        tracemalloc.stop()


@FUZZ
@given(st.lists(st.binary(max_size=40) | mutated(HEADERS), min_size=1, max_size=4))
def test_mutated_frames_are_records_or_protocol_errors(message: list[bytes]) -> None:
    """Invariant: no frames whatever make a decoder raise anything but ``ProtocolError``."""
    for decode in DECODERS:
        decoded(decode, message)
    assert limits.JOB_ID_BYTES == len(headers.request_id_of(message))


@FUZZ
@given(st.sampled_from(MESSAGES), st.integers(0, 200), plain, st.data())
def test_one_wrong_value_is_a_record_or_a_protocol_error(
    message: Frames, place: int, new: Any, data: st.DataObject
) -> None:
    """Invariant: a well-formed header with any value at any place replaced is read in its bounds or refused."""
    header = replaced(codec.unpack(message[0]), place, new)
    changed = [codec.pack(header), *message[1:]]
    for decode in DECODERS:
        decoded(decode, changed)
    extra = data.draw(st.integers(-1, 2))
    for decode in DECODERS:
        decoded(decode, changed[:extra] if extra < 0 else changed + [b"x"] * extra)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda record: type(record).__name__)
def test_requests_come_back(request_: Any) -> None:
    """The seeds of the mutations are themselves valid."""
    assert request_ == messages.decode_request(messages.encode_request(request_))


@pytest.mark.parametrize("reply", REPLIES, ids=lambda record: type(record).__name__)
def test_replies_come_back(reply: Any) -> None:
    """The seeds of the mutations are themselves valid."""
    assert reply == messages.decode_reply(messages.encode_reply(reply))


@FUZZ
@given(st.text(max_size=600), st.text(max_size=300), st.integers(0, 1 << 31), st.binary(max_size=50))
def test_any_report_comes_back(title: str, message: str, count: int, data: bytes) -> None:
    """Invariant: whatever an honest worker has to say arrives as it was said, titles cut at their bound."""
    with contextlib.suppress(UnicodeEncodeError):
        (title + message).encode()
        chart = jobs.ReportedChart("image/svg+xml", 1, 2, count, title, data)
        report = jobs.JobReport("error", ErrorInfo("E", message, count), None, (chart,), count)
        (arrived,) = reports.decode_report(jobs.encode_report(report)).charts
        assert (title[: limits.TITLE_CHARS_MAX], data) == (arrived.title, arrived.data)


def test_the_longest_honest_report_can_be_read() -> None:
    """As many charts as there may be, of the longest titles and names: the report stays within its bound."""
    wide = "\U0001f600"
    charts = tuple(
        jobs.ReportedChart("image/png", 1, 2, number, wide * 500, None, "/".join(["n" * 255] * 3) + f"/{number}.png")
        for number in range(limits.CHARTS_MAX)
    )
    error = ErrorInfo(wide * 500, wide * 8_000, 1, wide * 32_000)
    report = reports.decode_report(jobs.encode_report(jobs.JobReport("error", error, None, charts)))
    assert error == report.error
    assert 0 < len(report.charts) <= limits.CHARTS_MAX


@FUZZ
@given(st.binary(max_size=200) | announcing | mutated(PACKETS))
def test_any_control_packet_is_a_record_or_a_protocol_error(packet: bytes) -> None:
    """Invariant: a packet that decodes encodes to a packet that decodes to the same."""
    record: Any = decoded(control.decode, packet)
    if record is not None:
        assert record == control.decode(control.encode(record))


@FUZZ
@given(st.sampled_from(PACKETS), st.integers(0, 50), plain)
def test_one_wrong_value_in_a_control_packet(packet: bytes, place: int, new: Any) -> None:
    """Invariant: a well-formed packet with any value replaced is read in its bounds or refused."""
    decoded(control.decode, codec.pack(replaced(codec.unpack(packet), place, new)))


@FUZZ
@given(plain)
def test_any_value_as_a_control_packet(value: Any) -> None:
    """Invariant: any plain value, under each of the packet types, is a record or ``ProtocolError``."""
    decoded(control.decode, codec.pack(value))
    if isinstance(value, dict):
        for name in ("Start", "Ready", "ForkFailed", "Threaded"):
            decoded(control.decode, codec.pack({**value, "type": name}))
    for name in ("Fork", "Release", "Forked", "Exited"):
        decoded(control.decode, codec.pack([name, *value] if isinstance(value, list) else [name, value]))


def assembled(pieces: Sequence[bytes], bytes_max: int) -> tuple[object, int]:
    """The frames (None while unfinished, "refused"), and the most bytes that were kept."""
    assembler, kept = stream.MessageAssembler(bytes_max), 0
    for piece in pieces:
        try:
            assembler.feed(piece)
        except ProtocolError:
            return "refused", kept
        kept = max(kept, assembler.received)
    return None if assembler.frames is None else list(map(bytes, assembler.frames)), kept


@FUZZ
@given(st.binary(max_size=60) | mutated(STREAMS), st.lists(st.integers(0, 5_000), max_size=12), st.binary(max_size=9))
def test_the_assembler_does_not_mind_the_cuts(data: bytes, places: list[int], after: bytes) -> None:
    """Invariant: whole, cut anywhere, or byte by byte, a stream ends the same, and no more than its bound is kept."""
    data += after
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    cuts = [data[start:end] for start, end in itertools.pairwise(edges)]
    bound = 4_096
    whole, _ = assembled([data], bound)
    for pieces in (cuts, [bytes([byte]) for byte in data]):
        ending, kept = assembled(pieces, bound)
        assert whole == ending
        assert kept <= bound + 8 + 8 * (limits.PARTS_MAX + 1)


@FUZZ
@given(st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 100), max_size=6), st.integers(0, (1 << 32) - 1))
def test_hostile_sizes_end_at_once(sizes: list[int], count: int) -> None:
    """Invariant: a prefix that lies about numbers or sizes is refused when it is read, or waits within the bound."""
    assembler = stream.MessageAssembler(1_000)
    data = b"WFK1" + struct.pack(">I", count) + struct.pack(f">{len(sizes)}Q", *sizes)
    with contextlib.suppress(ProtocolError):
        assembler.feed(data)
        if len(sizes) >= count:
            assert sum(sizes[:count]) <= 1_000


@FUZZ
@given(st.binary(max_size=200) | announcing | mutated(VARIABLES))
def test_any_variables_are_values_or_protocol_errors(data: bytes) -> None:
    """Invariant: the worker's reader of variables raises ``ProtocolError`` alone, and what it gives has names."""
    value: Any = decoded(values.unpack_variables, data)
    assert value is None or all(name.isidentifier() for name in value)


@pytest.mark.parametrize("levels", [65, 300, 5_000])
def test_nested_extensions_end_at_the_bound(levels: int) -> None:
    """Tuples inside tuples are refused by their depth, before the copies of what they hold take the memory."""
    data = b"\xc0"
    for _ in range(levels):
        body = b"\x91" + data
        data = b"\xc9" + len(body).to_bytes(4, "big") + b"\x01" + body
    with pytest.raises(ProtocolError, match="nested deeper than 64"):
        values.unpack_variables(b"\x81\xa1a" + data)


def test_a_huge_integer_may_be_a_key() -> None:
    """Integers too long for ``repr`` travel as keys, too."""
    variables = {"a": {10**5_000: 1, (10**5_000,): 2}}
    assert variables == values.unpack_variables(values.pack_variables(variables))


@FUZZ
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["..", ".", "", "a", "\\", "\0", "n" * 256, "é" * 128, "\udc80"]), max_size=20).map(
        "/".join
    )
)
def test_a_name_that_is_allowed_stays_below(name: str) -> None:
    """Invariant: an allowed name is relative, has no step up or nothing in it, and fits the file system."""
    allowed: Any = decoded(check_file_name, name)
    if allowed is not None:
        assert name == allowed
        assert not set(name.split("/")) & {"", ".", ".."}
        assert len(name.encode()) <= limits.PATH_BYTES_MAX
        assert all(len(part.encode()) <= limits.NAME_BYTES_MAX for part in name.split("/"))


@FUZZ
@given(
    st.binary(max_size=64),
    st.binary(max_size=64),
    st.integers(0, 1 << 20),
    st.sampled_from(["image/png", "image/svg+xml"]),
)
def test_a_signature_verifies_what_was_signed_alone(data: bytes, signature: bytes, index: int, media_type: str) -> None:
    """Invariant: signatures of any length are true or false, and any change of what was signed is false."""
    key = bytes(32)
    signed = sign_chart(key, ID, index, media_type, data)
    assert chart_is_authentic(key, ID, index, media_type, data, signed)
    assert (signature == signed) == chart_is_authentic(key, ID, index, media_type, data, signature)
    for changed in (signed[:-1], signed + b"\0", bytes([signed[0] ^ 1]) + signed[1:]):
        assert not chart_is_authentic(key, ID, index, media_type, data, changed)
    assert not chart_is_authentic(key, ID, index + 1, media_type, data, signed)
    assert not chart_is_authentic(key, ID, index, media_type, data + b"\0", signed)


@pytest.mark.parametrize("rc", [{"a": 1 << 70}, {"a": "\udc80"}, {"\udc80": 1}])
def test_what_cannot_be_packed_is_a_protocol_error(rc: dict[str, Any]) -> None:
    """The sender, too, gets the typed error for a header that msgpack does not carry."""
    with pytest.raises(ProtocolError, match="cannot be packed"):
        messages.encode_request(ExecuteRequest(ID, b"", rc=rc))

"""Messages between client and daemon, through both ends."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfork.errors import ProtocolError
from warmfork.results import PHASES, VERDICTS, Dropped, ErrorInfo, Phases, Usage
from warmfork.wire import codec, limits, records
from warmfork.wire import replies as from_daemon
from warmfork.wire import requests as from_client
from warmfork.wire.frames import UnknownMessageType, UnsupportedVersion
from warmfork.wire.messages import decode_reply, decode_request, encode_reply, encode_request

ids = st.binary(min_size=16, max_size=16)
names = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}\.csv", fullmatch=True)
blobs = st.binary(max_size=50)
files = st.dictionaries(names, blobs, max_size=3).map(
    lambda found: tuple(records.InputFile(name, data) for name, data in found.items())
)
seconds = st.floats(0.001, 1000)

requests = st.one_of(
    st.builds(from_client.HelloRequest, ids),
    st.builds(from_client.StatusRequest, ids),
    st.builds(from_client.CancelRequest, ids, ids),
    st.builds(
        from_client.ExecuteRequest,
        id=ids,
        code=blobs,
        variables=st.none() | blobs,
        stdin=st.none() | blobs,
        files=files,
        timeout_s=st.none() | seconds,
        deadline_s=st.none() | seconds,
        memory_bytes=st.none() | st.integers(1, 1 << 40),
        formats=st.lists(st.sampled_from(records.FORMATS), unique=True).map(tuple),
        policy=st.none() | st.sampled_from(records.POLICIES),
        template=st.none() | st.text(max_size=10),
        rc=st.dictionaries(st.text(max_size=10), st.integers(0, 9) | st.text(max_size=5), max_size=3),
    ),
)

charts = st.builds(
    from_daemon.SignedChart,
    data=blobs,
    media_type=st.sampled_from(records.MEDIA_TYPES),
    width_px=st.integers(0, 9999),
    height_px=st.integers(0, 9999),
    signature=st.binary(min_size=32, max_size=32),
    figure_number=st.none() | st.integers(0, 99),
    title=st.text(max_size=20),
    file_name=st.none() | names,
)
streams = st.one_of(
    st.builds(from_daemon.StreamText, blobs), st.builds(from_daemon.StreamText, blobs, blobs, st.integers(1, 1 << 40))
)


@st.composite
def results(draw: st.DrawFn) -> from_daemon.ResultReply:
    stdout, stderr = draw(streams), draw(streams)
    return from_daemon.ResultReply(
        id=draw(ids),
        verdict=draw(st.sampled_from(VERDICTS)),
        stdout=stdout,
        stderr=stderr,
        error=draw(st.none() | st.builds(ErrorInfo, st.text(max_size=9), st.text(max_size=9), st.none() | st.just(3))),
        charts=tuple(draw(st.lists(charts, max_size=3))),
        files=draw(files),
        usage=Usage(
            *(draw(seconds), draw(seconds), draw(st.integers(0, 1 << 40)), draw(seconds)),
            Phases(*draw(st.lists(seconds, min_size=len(PHASES), max_size=len(PHASES)))),
        ),
        dropped=Dropped(stdout.dropped, stderr.dropped, draw(st.integers(0, 99)), draw(st.integers(0, 99))),
        exit_code=draw(st.none() | st.integers(-5, 300)),
        retry_after_s=draw(st.none() | seconds),
        retry_safe=draw(st.none() | st.booleans()),
        policy=draw(st.sampled_from(["", "strict"])),
    )


replies = st.one_of(
    results(),
    st.builds(from_daemon.StatusReply, ids, st.just({"a": {"b": [1, 2.5, "x"]}})),
    st.builds(from_daemon.CancelReply, ids, st.sampled_from(records.CANCEL_OUTCOMES)),
    st.builds(
        from_daemon.OutputReply,
        ids,
        st.sampled_from(records.STREAM_NAMES),
        st.integers(0, 1 << 40),
        st.integers(0, 1 << 40),
        st.binary(min_size=1, max_size=50),
    ),
    st.builds(from_daemon.ErrorReply, ids, st.text(max_size=20), st.text(max_size=100)),
    st.builds(
        from_daemon.HelloReply,
        ids,
        st.text(max_size=9),
        st.integers(0, 1 << 22),
        st.just((records.TemplateInfo("science", "3.12.1", (records.LibraryInfo("numpy", "2", 0.5, ""),), "Noto"),)),
        st.just(("strict", "standard")),
        st.just({"timeout_s": 120.0, "charts_max": 50}),
        st.just(("cancel",)),
    ),
)


def raw(frames: list[bytes | memoryview]) -> list[bytes]:
    return [bytes(frame) for frame in frames]


@given(requests)
def test_requests_come_back(request_: from_client.Request) -> None:
    """A request decodes to what was encoded."""
    assert request_ == decode_request(raw(encode_request(request_)))


@given(replies)
def test_replies_come_back(reply: from_daemon.Reply) -> None:
    """A reply decodes to what was encoded."""
    assert reply == decode_reply(raw(encode_reply(reply)))


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_frames_decode_or_raise_protocol_error(frames: list[bytes]) -> None:
    """Invariant: no frames whatever make a decoder raise anything but ProtocolError."""
    for decode in (decode_request, decode_reply):
        with contextlib.suppress(ProtocolError):
            decode(frames)


HEADER_FIELDS = st.fixed_dictionaries(
    {
        "v": st.just(1),
        "type": st.sampled_from(["execute", "cancel", "hello", "status", "result", "error", "cancelled", "output"]),
    },
    optional={
        name: st.recursive(
            st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=17) | st.floats() | st.booleans(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=6,
        )
        for name in (
            "id",
            "parts",
            "timeout_s",
            "formats",
            "files",
            "usage",
            "error",
            "rc",
            "verdict",
            "templates",
            "limits",
        )
    },
)


@settings(max_examples=300)
@given(HEADER_FIELDS, st.lists(st.binary(max_size=20), max_size=3))
def test_any_header_decodes_or_raises_protocol_error(header: dict[str, Any], parts: list[bytes]) -> None:
    """Invariant: a well-formed header with fields of any types decodes or raises ProtocolError."""
    try:
        frames = [codec.pack(header), *parts]
    except OverflowError:
        return  # an integer that msgpack has no form for
    for decode in (decode_request, decode_reply):
        with contextlib.suppress(ProtocolError):
            decode(frames)


@given(requests, st.data())
def test_a_damaged_request_decodes_or_raises_protocol_error(request_: from_client.Request, data: st.DataObject) -> None:
    """Invariant: one changed byte anywhere gives another request or ProtocolError."""
    frames = raw(encode_request(request_))
    chosen = data.draw(st.integers(0, len(frames) - 1))
    if not frames[chosen]:
        return
    damaged = bytearray(frames[chosen])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    frames[chosen] = bytes(damaged)
    with contextlib.suppress(ProtocolError):
        decode_request(frames)


def header(**changes: Any) -> list[bytes]:
    base: dict[str, Any] = {"v": 1, "type": "execute", "id": bytes(16), "parts": [{"kind": "code"}]}
    return [codec.pack({**base, **changes}), b"print(1)"]


def test_unknown_fields_and_parts_are_ignored() -> None:
    """Fields and kinds of parts that this version does not know do not disturb it."""
    frames = header(future={"x": [1]}, parts=[{"kind": "code", "hint": 3}, {"kind": "hologram"}])
    decoded = decode_request([*frames, b"???"])
    assert isinstance(decoded, from_client.ExecuteRequest)
    assert b"print(1)" == bytes(decoded.code)


def test_another_version_is_told_apart() -> None:
    """A message of another protocol version raises its own error, whatever else it holds."""
    with pytest.raises(UnsupportedVersion, match="version 2"):
        decode_request(header(v=2, type="whatever"))


def test_an_unknown_type_is_told_apart() -> None:
    """A message of an unknown type raises its own error."""
    with pytest.raises(UnknownMessageType, match="'teleport'"):
        decode_request(header(type="teleport"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": b"short"}, "length >= 16.*id"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"timeout_s": True}, "timeout_s"),
        ({"memory_bytes": 1.5}, "memory_bytes"),
        ({"formats": ["bmp"]}, "bmp"),
        ({"formats": ["png", "png"]}, "twice"),
        ({"parts": []}, "0 parts and 1 frames"),
        ({"parts": [{"kind": "stdin"}]}, "no part 'code'"),
        ({"parts": ["code"]}, "str.*parts"),
        ({"rc": [1]}, "rc"),
        ({"policy": 7}, "policy"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], reason: str) -> None:
    """The error for a wrong field names it."""
    with pytest.raises(ProtocolError, match=reason):
        decode_request(header(**changes))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../b", "", "a//b", "a\0b", "a\\b", "x" * 300, "a/" * 20 + "b"]
)
def test_file_names_that_lead_elsewhere_are_refused(name: str) -> None:
    """A file's name must be a plain relative path on both ends."""
    request_ = from_client.ExecuteRequest(bytes(16), b"", files=(records.InputFile(name, b""),))
    with pytest.raises(ProtocolError):
        encode_request(request_)
    parts = [{"kind": "code"}, {"kind": "file", "name": name}]
    with pytest.raises(ProtocolError):
        decode_request([*header(parts=parts), b"data"])


def test_too_many_parts_are_refused() -> None:
    """The number of frames is bounded on both ends."""
    with pytest.raises(ProtocolError, match="frames where"):
        decode_request([b"x"] * (limits.PARTS_MAX + 2))
    many = tuple(records.InputFile(f"f{index}", b"") for index in range(limits.PARTS_MAX + 1))
    with pytest.raises(ProtocolError, match="parts where"):
        encode_request(from_client.ExecuteRequest(bytes(16), b"", files=many))


def test_a_header_over_its_bound_is_refused_when_encoded() -> None:
    """No end makes a header that the other must refuse."""
    with pytest.raises(ProtocolError, match="header"):
        encode_reply(from_daemon.StatusReply(bytes(16), {"x": ["y" * 1000] * 2000}))


@pytest.mark.parametrize("count", [0, 3, len(PHASES), len(PHASES) + 5])
def test_phases_of_another_version(count: int) -> None:
    """A daemon may tell none, fewer or more phases than this client knows: what both know is read, the rest is zero."""
    told = [float(number) for number in range(1, count + 1)]
    header = {"v": 1, "type": "result", "id": bytes(16), "verdict": "ok", "parts": [], "usage": {"phases": told}}
    reply = decode_reply([codec.pack(header)])
    assert isinstance(reply, from_daemon.ResultReply)
    expected = (told + [0.0] * len(PHASES))[: len(PHASES)]
    assert expected == [getattr(reply.usage.phases, name) for name in PHASES]


@pytest.mark.parametrize("told", [["1"], [-1.0], [float("nan")], [None], [True], {"queued_s": 1.0}])
def test_phases_that_are_none(told: object) -> None:
    """Anything but a list of seconds is not the protocol."""
    header = {"v": 1, "type": "result", "id": bytes(16), "verdict": "ok", "parts": [], "usage": {"phases": told}}
    with pytest.raises(ProtocolError, match="phases"):
        decode_reply([codec.pack(header)])


@pytest.mark.parametrize(("size", "frames"), [(0, 1), (1, 1), (4_096, 1), (4_097, 2), (100_000, 2)])
def test_what_is_short_stands_in_the_header(size: int, frames: int) -> None:
    """Code and output take a frame of their own from 4 KiB on, and come back the same either way."""
    text = b"x" * size
    asked = encode_request(from_client.ExecuteRequest(bytes(16), text))
    assert frames == len(asked)
    request = decode_request(asked)
    assert isinstance(request, from_client.ExecuteRequest)
    assert text == request.code
    told = encode_reply(from_daemon.ResultReply(bytes(16), "ok", from_daemon.StreamText(text)))
    assert frames == len(told)
    reply = decode_reply(told)
    assert isinstance(reply, from_daemon.ResultReply)
    assert (text, b"", 0) == (reply.stdout.head, reply.stdout.tail, reply.stdout.dropped)


def test_short_output_that_was_cut_keeps_its_parts() -> None:
    """How many bytes fell out is told with the part."""
    cut = from_daemon.StreamText(b"a", b"z", 7)
    reply = decode_reply(encode_reply(from_daemon.ResultReply(bytes(16), "ok", cut, cut)))
    assert isinstance(reply, from_daemon.ResultReply)
    assert (cut, cut) == (reply.stdout, reply.stderr)


@pytest.mark.parametrize(
    ("fields", "parts", "refusal"),
    [
        ({}, [], "has no part 'code'"),
        ({"code": b"1"}, ["code"], "as a part as well"),
        ({"code": b"1" * 4_097}, [], "code"),
        ({"code": "1"}, [], "code"),
    ],
)
def test_code_comes_once(fields: dict[str, Any], parts: list[str], refusal: str) -> None:
    """In the header or as a part, within the bound of each."""
    header = {"v": 1, "type": "execute", "id": bytes(16), "parts": [{"kind": kind} for kind in parts], **fields}
    with pytest.raises(ProtocolError, match=refusal):
        decode_request([codec.pack(header), *[b"2"] * len(parts)])


def test_output_comes_once() -> None:
    """In the header or as a part."""
    header = {"v": 1, "type": "result", "id": bytes(16), "verdict": "ok", "parts": [{"kind": "stdout"}], "stdout": b"1"}
    with pytest.raises(ProtocolError, match="as a part as well"):
        decode_reply([codec.pack(header), b"2"])

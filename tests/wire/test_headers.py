"""What the headers between client and daemon let through, where their types alone do not say it."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from typing import Any

import msgpack
import msgspec
import pytest
from tests.support import run_alone

from warmfork.errors import ProtocolError
from warmfork.wire import headers, limits
from warmfork.wire.messages import decode_reply, decode_request, encode_reply, encode_request
from warmfork.wire.replies import ResultReply, StatusReply
from warmfork.wire.requests import ExecuteRequest

ID = bytes(range(16))


def execute(**fields: Any) -> list[bytes]:
    told = {"v": 1, "type": "execute", "id": ID, "parts": [{"kind": "code"}], **fields}
    return [msgpack.packb(told, datetime=True), b"1"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (datetime(2026, 11, 30, tzinfo=UTC), "not plain"),
        (msgpack.ExtType(5, b"x"), "not plain"),
        ({1: 2}, "map key is int"),
        ({b"k": 2}, "map key is bytes"),
        ([0] * (limits.CONTAINER_ITEMS_MAX + 1), "items where"),
        ("x" * (limits.STRING_BYTES_MAX + 1), "bytes of text"),
        (b"x" * (limits.STRING_BYTES_MAX + 1), "bytes of text"),
        ({"x" * (limits.STRING_BYTES_MAX + 1): 1}, "bytes of text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_are_plain_data_within_bounds(value: object, reason: str) -> None:
    """``rc`` may hold anything plain; what is not, or is too much, is refused, and likewise in a status."""
    with pytest.raises(ProtocolError, match=reason):
        decode_request(execute(rc={"a": [value]}))
    told = {"v": 1, "type": "status", "id": ID, "status": {"a": {"b": value}}}
    with pytest.raises(ProtocolError, match=reason):
        decode_reply([msgpack.packb(told, datetime=True)])


@pytest.mark.parametrize(
    "value", [b"\x81\x80\x01", b"\x81\x91\x80\x01", b"\x81\xd4\x05\x00\x01"],
    ids=["a map", "a list with a map", "an extension"],
)  # fmt: skip
def test_what_cannot_be_a_key_is_refused(value: bytes) -> None:
    """A map whose key nobody can look up by is no message, wherever anything may stand; and is nothing worse."""
    begin = b"\xa1v\x01\xa2id\xc4\x10" + ID
    requests = [
        b"\x85" + begin + b"\xa4type\xa7execute\xa5parts\x91\x81\xa4kind\xa4code\xa2rc\x81\xa1a" + value,
        b"\x84" + begin + b"\xa4type\xa7execute\xa5parts\x91\x82\xa4kind\xa4code\xa1x" + value,
    ]
    for request in requests:
        with pytest.raises(ProtocolError):
            decode_request([request, b"1"])
    with pytest.raises(ProtocolError):
        decode_reply([b"\x84" + begin + b"\xa4type\xa6status\xa6status\x81\xa1a" + value])


@pytest.mark.parametrize("levels", [limits.NESTING_MAX, limits.NESTING_MAX + 1, 5_000])
def test_settings_are_not_nested_without_end(levels: int) -> None:
    """So many levels are read, one more is refused, and so are as many as would end an interpreter."""
    # A map in a map in a map, each with the key "a": the innermost holds 1.
    header = (
        b"\x85\xa1v\x01\xa4type\xa7execute\xa2id\xc4\x10" + ID + b"\xa5parts\x91\x81\xa4kind\xa4code\xa2rc"
        + b"\x81\xa1a" * levels + b"\x01"
    )  # fmt: skip
    if levels <= limits.NESTING_MAX:
        assert isinstance(decode_request([header, b"1"]), ExecuteRequest)
        return
    with pytest.raises(ProtocolError):
        decode_request([header, b"1"])


@pytest.mark.parametrize("first", [b"\xdd", b"\xdf", b"\xc6", b"\xdb"], ids=["list", "map", "bytes", "text"])
def test_what_is_announced_and_not_there_takes_no_memory(first: bytes) -> None:
    """A list, map or string of four billion in a header of a hundred bytes is refused before a place is made for it."""
    places = (
        b"\xa5parts",
        b"\xa2rc",
        b"\xa6tenant",
        b"\xa6future",
        b"\xa2rc\x81\xa1a",
        b"\xa5parts\x91\x82\xa4kind\xa1k\xa1x",
    )
    for field in places:
        header = b"\x84\xa1v\x01\xa4type\xa7execute\xa2id\xc4\x10" + ID + field + first + b"\xff" * 4
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError):
                decode_request([header])
            assert tracemalloc.get_traced_memory()[1] < limits.MIB
        finally:
            tracemalloc.stop()


def test_bytes_are_not_base64() -> None:
    """Where bytes are to stand no text does, whatever it says."""
    told = {"kind": "chart", "media_type": "image/png", "width_px": 1, "height_px": 1, "signature": "c2lnbmF0dXJl"}
    header = {"v": 1, "type": "result", "id": ID, "verdict": "ok", "parts": [told]}
    with pytest.raises(ProtocolError, match="signature"):
        decode_reply([msgpack.packb(header), b"png"])


def test_an_error_is_short_whatever_came() -> None:
    """What a peer sent is not repeated at length in the error about it."""
    with pytest.raises(ProtocolError) as caught:
        decode_request(execute(priority="p" * 100_000))
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("value", [datetime(2026, 11, 30, tzinfo=UTC), {1, 2}, 1j, object()])
def test_settings_that_are_not_plain_are_not_sent(value: object) -> None:
    """The sender gets a TypeError: nothing is made of a value that is not what it was."""
    with pytest.raises(TypeError):
        encode_request(ExecuteRequest(ID, b"1", rc={"a": value}))


def test_nothing_stands_for_what_is_at_its_default() -> None:
    """A header tells what differs: a trivial job and its result are a hundred bytes or so."""
    (header,) = encode_request(ExecuteRequest(ID, b"1"))
    assert {"type", "v", "id", "code", "formats", "sent_s_ago"} >= set(msgpack.unpackb(header))
    (header,) = encode_reply(ResultReply(ID, "ok"))
    assert {"type", "v", "id", "verdict", "usage"} >= set(msgpack.unpackb(header))
    (header,) = encode_reply(StatusReply(ID, {}))
    assert {"type", "v", "id"} == set(msgpack.unpackb(header))


def test_nil_stands_for_nothing_where_there_is_no_default() -> None:
    """Clients may say nil for what they do not ask for."""
    none = dict.fromkeys(("timeout_s", "deadline_s", "memory_bytes", "policy", "template"))
    assert decode_request(execute()) == decode_request(execute(**none))


def test_the_id_of_what_cannot_be_read() -> None:
    """A refusal can name the request, whatever else is wrong with it; and is nobody's where that, too, is wrong."""
    assert ID == headers.request_id_of(execute(v=7, timeout_s="soon"))
    for frames in ([], [b"\xc1"], [msgspec.msgpack.encode({"id": b"short"})], [b"x"] * (limits.PARTS_MAX + 2)):
        assert bytes(16) == headers.request_id_of(frames)


def test_workers_need_no_msgspec() -> None:
    """A template of another interpreter gets a copy of msgpack, which runs anywhere; msgspec does not."""
    code = (
        "import sys; sys.modules['msgspec'] = None\n"
        "import warmfork_worker.template, warmfork_worker.entry, warmfork_worker.run, warmfork_worker.channel\n"
        "print('loaded')"
    )
    assert "loaded\n" == run_alone(code)

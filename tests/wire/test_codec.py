"""The codec: garbage either decodes within the limits or raises ProtocolError."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.errors import ProtocolError
from warmfork.wire import codec, limits

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(st.binary(max_size=400))
def test_any_bytes_decode_or_raise_protocol_error(data: bytes) -> None:
    """Invariant: no bytes whatever make the decoder raise anything but ProtocolError."""
    with contextlib.suppress(ProtocolError):
        codec.unpack(data)


@given(plain, st.data())
def test_a_damaged_value_decodes_or_raises_protocol_error(value: Any, data: st.DataObject) -> None:
    """Invariant: one changed byte of a valid value gives another value or ProtocolError."""
    packed = bytearray(codec.pack(value))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        codec.unpack(bytes(packed))


@given(plain)
def test_plain_values_come_back(value: Any) -> None:
    """What is packed comes back equal."""
    assert value == codec.unpack(codec.pack(value))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not well-formed"),
        (codec.pack(1) + b"\x00", "follow the packed value"),
        (b"\xc1", "not well-formed"),
        (codec.pack({"a": 1})[:-1], "not well-formed"),
        (b"\x81\x01\x02", "not well-formed"),  # an integer key
        (b"\x81\xc4\x01a\x02", "map key is bytes"),
        (b"\xd4\x01\x00", "extension type 1"),
        (b"\xdd\xff\xff\xff\xff", "not well-formed"),  # an array of 4 billion items
        (b"\xdb\xff\xff\xff\xff", "not well-formed"),  # a string of 4 GB
        (b"\x91" * (limits.NESTING_MAX + 2) + b"\xc0", "nested deeper"),
        (b"\x91" * 100_000 + b"\xc0", "not well-formed|nested deeper"),
        (b"\xc6\x7f\xff\xff\xff", "not well-formed"),
        (b"\xc0" * (limits.HEADER_BYTES_MAX + 1), "bytes of packed data"),
    ],
)
def test_malformed_data_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    """Each kind of malformed or oversized data is named in the error."""
    with pytest.raises(ProtocolError, match=reason):
        codec.unpack(data)


def test_nesting_to_the_limit_is_allowed() -> None:
    """Containers nested exactly as deep as allowed decode."""
    value: Any = None
    for _ in range(limits.NESTING_MAX):
        value = [value]
    assert value == codec.unpack(codec.pack(value))

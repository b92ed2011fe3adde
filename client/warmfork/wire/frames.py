"""A message as frames: one packed header, then one raw frame per part.

The header is a map with the protocol version ``v``, the message ``type`` and a list ``parts`` that describes each raw
frame that follows, in order, by a map with at least a ``kind``. Bulk bytes are never inside the header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from warmfork.errors import ProtocolError
from warmfork.wire import codec, limits
from warmfork.wire.fields import JOB_ID, integer, items, read, text

# An order repeats a request's header and adds what the daemon decided: whatever was accepted must fit again.
ORDER_EXTRA_BYTES: Final = 4 * limits.KIB
ORDER_HEADER_BYTES_MAX: Final = limits.HEADER_BYTES_MAX + ORDER_EXTRA_BYTES

_HEADER: Final = (
    integer("v", 0, 1 << 31),
    text("type", chars_max=64),
    items("parts", count_max=limits.PARTS_MAX),
)
_PART: Final = (text("kind", chars_max=64),)
_NO_INFO: Final[Mapping[str, Any]] = MappingProxyType({})


class UnsupportedVersion(ProtocolError):
    """A message of another protocol version."""


class UnknownMessageType(ProtocolError):
    """A well-formed message of a type that this end does not know."""


class Part(NamedTuple):
    """One raw frame.

    Attributes:
        kind: what it is (``code``, ``file``, ``chart`` …). Unknown kinds are ignored by the reader.
        data: its bytes.
        info: what the header says about it.
    """

    kind: str
    data: bytes | memoryview
    info: Mapping[str, Any] = _NO_INFO


def to_frames(
    type_: str,
    header: Mapping[str, Any],
    parts: Sequence[Part] = (),
    *,
    header_bytes_max: int = limits.HEADER_BYTES_MAX,
) -> list[bytes | memoryview]:
    """The frames of a message. Raises ProtocolError where a limit of the protocol would be broken."""
    if len(parts) > limits.PARTS_MAX:
        raise ProtocolError(f"{len(parts)} parts where at most {limits.PARTS_MAX} are allowed")
    described = [{**part.info, "kind": part.kind} for part in parts]
    try:
        packed = codec.pack({**header, "v": limits.PROTOCOL_VERSION, "type": type_, "parts": described})
    except (ValueError, OverflowError) as problem:  # a lone surrogate, an integer over 64 bits, too deep a nesting
        raise ProtocolError(f"the header of {type_!r} cannot be packed: {problem}") from None
    frames: list[bytes | memoryview] = [packed, *[part.data for part in parts]]
    check_sizes(list(map(len, frames)), header_bytes_max)
    return frames


def check_sizes(sizes: Sequence[int], header_bytes_max: int = limits.HEADER_BYTES_MAX) -> None:
    """Refuse frame sizes that break the protocol's limits, before their bytes are read. Raises ProtocolError."""
    if not 1 <= len(sizes) <= limits.PARTS_MAX + 1:
        raise ProtocolError(f"{len(sizes)} frames where 1 to {limits.PARTS_MAX + 1} are allowed")
    if sizes[0] > header_bytes_max:
        raise ProtocolError(f"a header of {sizes[0]} bytes where at most {header_bytes_max} are allowed")
    if max(sizes) > limits.PART_BYTES_MAX:
        raise ProtocolError(f"a frame of {max(sizes)} bytes where at most {limits.PART_BYTES_MAX} are allowed")
    bytes_max = limits.MESSAGE_BYTES_MAX + max(0, header_bytes_max - limits.HEADER_BYTES_MAX)
    if sum(sizes) > bytes_max:
        raise ProtocolError(f"a message of {sum(sizes)} bytes where at most {bytes_max} are allowed")


def from_frames(
    frames: Sequence[bytes | memoryview], *, header_bytes_max: int = limits.HEADER_BYTES_MAX
) -> tuple[str, dict[str, Any], list[Part]]:
    """Message type, header and parts of any frames, or ProtocolError.

    Raises:
        UnsupportedVersion: the header is readable and of another version.
        ProtocolError: anything else that is not a message.
    """
    check_sizes(list(map(len, frames)), header_bytes_max)
    header = codec.unpack(frames[0], bytes_max=header_bytes_max)
    version, type_, described = read("header", header, _HEADER)
    if version != limits.PROTOCOL_VERSION:
        raise UnsupportedVersion(
            f"the message is of protocol version {version}; this end speaks version {limits.PROTOCOL_VERSION}"
        )
    if len(described) != len(frames) - 1:
        raise ProtocolError(f"the header describes {len(described)} parts and {len(frames) - 1} frames follow it")
    return (
        type_,
        header,
        [Part(read("part", info, _PART)[0], data, info) for info, data in zip(described, frames[1:], strict=True)],
    )


def request_id_of(frames: Sequence[bytes | memoryview]) -> bytes:
    """The id in the header of any frames, of whatever version; all zero where there is none to be read."""
    try:
        check_sizes(list(map(len, frames)))
        return bytes(read("header", codec.unpack(frames[0]), (JOB_ID,))[0])
    except ProtocolError:
        return bytes(limits.JOB_ID_BYTES)

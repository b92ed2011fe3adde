"""A message as frames: one packed header, then one raw frame per part. Bulk bytes are never inside the header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire import limits

Frames = Sequence[bytes | memoryview]

# An order repeats a request's header and adds what the daemon decided: whatever was accepted must fit again.
ORDER_EXTRA_BYTES: Final = 4 * limits.KIB
ORDER_HEADER_BYTES_MAX: Final = limits.HEADER_BYTES_MAX + ORDER_EXTRA_BYTES


class UnsupportedVersion(ProtocolError):
    """A message of another protocol version."""


class UnknownMessageType(ProtocolError):
    """A well-formed message of a type that this end does not know."""


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

"""Multipart messages over a byte stream: the channel between daemon and worker.

A message is a 4-byte magic, a big-endian u32 number of frames, a big-endian u64 size of each frame, then the frames'
bytes. The sizes are checked against the caller's bounds before a byte of a frame is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire import frames as wire_frames
from warmfork.wire import limits

_MAGIC: Final = b"WFK1"
_PREFIX: Final = struct.Struct(">4sI")
_SIZE_BYTES: Final = 8
_PREFIX_OF_ONE: Final = struct.Struct(">4sIQ")
"""Of the report of a job without charts."""
_PREFIX_OF_TWO: Final = struct.Struct(">4sIQQ")
"""Of nearly every order: its header and its code."""


def prefix_of(frames: Sequence[bytes | memoryview]) -> bytes:
    """What goes before the frames' own bytes. Their sizes are judged where they arrive."""
    sizes = list(map(len, frames))
    return _PREFIX.pack(_MAGIC, len(sizes)) + struct.pack(f">{len(sizes)}Q", *sizes)


def read_frames(read: Callable[[], bytes]) -> list[memoryview] | None:
    """The frames of the one message that comes from a peer which is believed: nothing is bounded.

    Args:
        read: gives the next bytes, none at the end.

    Returns:
        the frames; None when the end comes first.

    Raises:
        ProtocolError: it is no message, or bytes follow it.
    """
    data: bytes | bytearray = read()
    if not data:
        return None
    if len(data) >= _PREFIX_OF_TWO.size:  # in a process that has just woken up, half of what the general way costs
        magic, count, first, second = _PREFIX_OF_TWO.unpack_from(data)
        between = _PREFIX_OF_TWO.size + first
        if magic == _MAGIC and count == 2 and len(data) == between + second:
            view = memoryview(data)
            return [view[_PREFIX_OF_TWO.size : between], view[between:]]
    while True:
        sizes, whole = _sizes_in(data)
        if len(data) >= whole:
            break
        piece = read()
        if not piece:
            return None
        if type(data) is bytes:
            data = bytearray(data)
        data += piece
    if len(data) > whole:
        raise ProtocolError("bytes follow the message")
    view, frames, start = memoryview(data), [], whole - sum(sizes)
    for size in sizes:
        frames.append(view[start : start + size])
        start += size
    return frames


def _sizes_in(data: bytes | bytearray) -> tuple[tuple[int, ...], int]:
    """Sizes of the frames, as far as they are there, and how many bytes there must be to know more, or all."""
    if len(data) < _PREFIX.size:
        return (), _PREFIX.size
    magic, count = _PREFIX.unpack_from(data)
    if magic != _MAGIC or not count:
        raise ProtocolError("the stream does not begin with the magic of a message")
    start = _PREFIX.size + _SIZE_BYTES * count
    if len(data) < start:
        return (), start
    sizes = struct.unpack_from(f">{count}Q", data, _PREFIX.size)
    return sizes, start + sum(sizes)


class MessageAssembler:
    """Collects exactly one message from a stream, however it is cut.

    Args:
        bytes_max: bound on the frames' bytes together.

    Attributes:
        frames: the finished message, None until it is whole.
        received: bytes of it so far.
    """

    __slots__ = ("_buffer", "_bytes_max", "_sizes", "frames", "received")

    def __init__(self, bytes_max: int = limits.MESSAGE_BYTES_MAX + wire_frames.ORDER_EXTRA_BYTES) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self._sizes: tuple[int, ...] | None = None
        self.frames: list[memoryview] | None = None
        self.received = 0

    def feed(self, data: bytes | memoryview) -> int:
        """Take bytes in. Returns how many of them belong to the message; what follows it is left to the caller.

        Raises:
            ProtocolError: the bytes are not a message within the bounds. Nothing may be fed after that.
        """
        if self.frames is not None:
            return 0
        before = len(self._buffer)
        if not before and self._took_whole(data):
            return len(data)
        self._buffer += data
        if self._sizes is None:
            self._read_prefix()
        if self._sizes is None:
            taken = len(data)
        else:
            start = _PREFIX.size + _SIZE_BYTES * len(self._sizes)
            whole = start + sum(self._sizes)
            taken = min(len(data), whole - before)
            if len(self._buffer) >= whole:
                self.frames = self._cut(start)
        self.received += taken
        return taken

    def _took_whole(self, data: bytes | memoryview) -> bool:
        """Take a message of one frame that has come in one piece, which nothing need be kept for."""
        if len(data) <= _PREFIX_OF_ONE.size:
            return False
        magic, count, size = _PREFIX_OF_ONE.unpack_from(data)
        whole = bool(magic == _MAGIC and count == 1 and _PREFIX_OF_ONE.size + size == len(data))
        if not whole or size > min(self._bytes_max, wire_frames.ORDER_HEADER_BYTES_MAX):
            return False
        self.frames = [memoryview(bytes(data))[_PREFIX_OF_ONE.size :]]
        self.received += len(data)
        return True

    def _read_prefix(self) -> None:
        head = bytes(self._buffer[: _PREFIX.size])
        if not _MAGIC.startswith(head[:4]):
            raise ProtocolError("the stream does not begin with the magic of a message")
        if len(head) < _PREFIX.size:
            return
        _, count = _PREFIX.unpack(head)
        if not 1 <= count <= limits.PARTS_MAX + 1:
            raise ProtocolError(f"{count} frames where 1 to {limits.PARTS_MAX + 1} are allowed")
        end = _PREFIX.size + _SIZE_BYTES * count
        if len(self._buffer) < end:
            return
        sizes = struct.unpack(f">{count}Q", bytes(self._buffer[_PREFIX.size : end]))
        wire_frames.check_sizes(sizes, wire_frames.ORDER_HEADER_BYTES_MAX)
        if sum(sizes) > self._bytes_max:
            raise ProtocolError(f"a message of {sum(sizes)} bytes where at most {self._bytes_max} are allowed")
        self._sizes = sizes

    def _cut(self, start: int) -> list[memoryview]:
        assert self._sizes is not None
        view = memoryview(bytes(self._buffer)) if len(self._buffer) < 64 * limits.KIB else memoryview(self._buffer)
        frames = []
        for size in self._sizes:
            frames.append(view[start : start + size])
            start += size
        return frames

"""A job's output stream, bounded while it is read: the first bytes, the last bytes, and how many fell between."""

from __future__ import annotations

import os
import select
from collections import deque
from typing import Final

from warmfork.wire.replies import StreamText

_READ_BYTES: Final = 256 * 1024
_READS_AT_ONCE: Final = 8


class BoundedOutput:
    """Half of ``bytes_max`` for the head, half for the tail; memory never grows beyond that and one read."""

    __slots__ = ("_head", "_head_max", "_tail", "_tail_bytes", "_tail_max", "_total")

    def __init__(self, bytes_max: int) -> None:
        self._head_max = bytes_max - bytes_max // 2
        self._tail_max = bytes_max // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._total = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._total += len(data)
        room = self._head_max - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data or not self._tail_max:
            return
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_max:
            self._tail_bytes -= len(self._tail.popleft())

    def head_from(self, offset: int, bytes_max: int) -> bytes:
        """Bytes of the head from this offset on; empty where no more are there. What the head has, no result drops."""
        return bytes(self._head[offset : offset + bytes_max])

    def text(self) -> StreamText:
        """What was kept. Head and tail are joined where nothing was dropped between them."""
        tail = b"".join(self._tail)
        tail = tail[max(0, len(tail) - self._tail_max) :]
        dropped = self._total - len(self._head) - len(tail)
        if dropped:
            return StreamText(bytes(self._head), tail, dropped)
        return StreamText(bytes(self._head) + tail)


class DrainedPipe:
    """The reading end of a worker's stdout or stderr.

    Args:
        fd: a non-blocking descriptor; this object closes it.
        bytes_max: bound of what is kept.
    """

    __slots__ = ("_fd", "_poll", "output")

    def __init__(self, fd: int, bytes_max: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.output = BoundedOutput(bytes_max)

    def drain(self) -> None:
        """Read what is there, at most 2 MiB at once so that a flood does not hold the loop."""
        for _ in range(_READS_AT_ONCE):
            # Asked beforehand: to be told by an exception that there is nothing costs more. And asked each time: a job can
            # make its pipe give no more than a packet at once (O_DIRECT).
            if self._fd < 0 or not self._poll.poll(0):
                return
            data = os.read(self._fd, _READ_BYTES)
            if not data:
                self.close()
                return
            self.output.add(data)

    def close(self) -> None:
        """Close the descriptor; what was kept stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

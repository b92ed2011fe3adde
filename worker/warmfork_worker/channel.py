"""The worker's end of the job channel: ready, one order in, one report out."""

from __future__ import annotations

import os
import socket
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire import jobs, stream

READY: Final = b"R"
_CHUNK_BYTES: Final = 1 << 20


def read_order(channel: socket.socket) -> jobs.JobOrder | None:
    """Wait for the job. None when the daemon closes the channel instead. Raises ProtocolError."""
    assembler = stream.MessageAssembler()
    while assembler.frames is None:
        data = channel.recv(_CHUNK_BYTES)
        if not data:
            return None
        if assembler.feed(data) != len(data):
            raise ProtocolError("bytes follow the order")
    return jobs.decode_order(assembler.frames)


def send_report(channel: socket.socket, report: jobs.JobReport) -> None:
    """Send the report whole. What cannot be sent is not reported; the daemon then says ``crashed``."""
    frames = jobs.encode_report(report)
    fd = channel.fileno()
    pending = [memoryview(stream.prefix_of(frames)), *(memoryview(frame) for frame in frames)]
    while pending:
        written = os.writev(fd, pending[:64])
        while pending and written >= len(pending[0]):
            written -= len(pending.pop(0))
        if pending:
            pending[0] = pending[0][written:]


def wait_to_be_killed(channel: socket.socket) -> None:
    """Stay until the daemon has sent its reply and ends this process.

    An exit frees the whole address space in the kernel, milliseconds in which the processor is not the daemon's; so it
    waits until nobody waits for it.
    """
    while channel.recv(_CHUNK_BYTES):
        pass

"""The worker's end of the job channel: ready, one order in, one report out."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

from warmfork.wire import jobs, stream

_PIECES_MAX: Final = 64
READY: Final = b"R"
_CHUNK_BYTES: Final = 1 << 16
"""Less than what malloc(3) maps by itself: a megabyte would be mapped, and unmapped again, for a hundred bytes."""


def read_order(channel: int) -> jobs.JobOrder | None:
    """Wait for the job. None when the daemon closes the channel instead. Raises ProtocolError."""
    frames = stream.read_frames(partial(os.read, channel, _CHUNK_BYTES))
    return None if frames is None else jobs.decode_order(frames)


def send_report(channel: int, report: jobs.JobReport) -> None:
    """Send the report whole. What is too large, or cannot be sent, makes the daemon say ``crashed``."""
    frames = jobs.encode_report(report)
    pending = [stream.prefix_of(frames), *frames]
    left = sum(map(len, pending))
    while left := left - os.writev(channel, pending[:_PIECES_MAX]):
        pending = _after(pending, sum(map(len, pending)) - left)


def _after(pieces: list[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """What follows the first ``count`` bytes."""
    while count >= len(pieces[0]):
        count -= len(pieces.pop(0))
    return [memoryview(pieces[0])[count:], *pieces[1:]]


def wait_to_be_killed(channel: int) -> None:
    """Stay until the daemon has sent its reply and ends this process.

    An exit frees the whole address space in the kernel, milliseconds in which the processor is not the daemon's; so it
    waits until nobody waits for it.
    """
    while os.read(channel, _CHUNK_BYTES):
        pass

"""The message ``output``: the next bytes of a running job's stream. Frames <-> record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.wire.fields import JOB_ID, integer, read, word
from warmfork.wire.frames import Part, to_frames
from warmfork.wire.records import STREAM_NAMES, OutputReply

_COUNT_MAX: Final = 1 << 62
_PLACE: Final = (
    JOB_ID,
    word("stream", STREAM_NAMES),
    integer("seq", 0, _COUNT_MAX),
    integer("offset", 0, _COUNT_MAX),
)


def encode_output(reply: OutputReply) -> list[bytes | memoryview]:
    """The frames of an output message."""
    place = {"id": reply.id, "stream": reply.stream, "seq": reply.seq, "offset": reply.offset}
    return to_frames("output", place, [Part("output", reply.data)])


def decode_output(header: Mapping[str, Any], parts: Sequence[Part]) -> OutputReply:
    """The inverse of ``encode_output``, or ProtocolError."""
    data = next((part.data for part in parts if part.kind == "output"), b"")
    if not data:
        raise ProtocolError("an output message has no bytes")
    job_id, stream, seq, offset = read("header", header, _PLACE)
    return OutputReply(job_id, stream, seq, offset, bytes(data))

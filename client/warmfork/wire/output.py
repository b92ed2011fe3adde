"""The message ``output``: the next bytes of a running job's stream. Frames <-> record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from warmfork.errors import ProtocolError
from warmfork.wire.fields import Fields
from warmfork.wire.frames import Part, to_frames
from warmfork.wire.records import STREAM_NAMES, OutputReply

_COUNT_MAX: Final = 1 << 62


def encode_output(reply: OutputReply) -> list[bytes | memoryview]:
    """The frames of an output message."""
    place = {"id": reply.id, "stream": reply.stream, "seq": reply.seq, "offset": reply.offset}
    return to_frames("output", place, [Part("output", reply.data)])


def decode_output(fields: Fields, parts: Sequence[Part]) -> OutputReply:
    """The inverse of ``encode_output``, or ProtocolError."""
    data = next((part.data for part in parts if part.kind == "output"), b"")
    if not data:
        raise ProtocolError("an output message has no bytes")
    return OutputReply(
        fields.job_id(),
        fields.word("stream", STREAM_NAMES),
        fields.integer("seq", 0, _COUNT_MAX),
        fields.integer("offset", 0, _COUNT_MAX),
        bytes(data),
    )

"""The headers of all messages between client and daemon: what fields each has, of what type and within what bounds.

The types are the description, and msgspec reads and writes by it in native code. A message comes after a pause in which other
processes had the processor's caches, so whatever runs for it runs cold, and costs ten times what it does in a loop; the
less code, Python or not, the better.

Absent fields have their defaults, and fields that are not named here are ignored, so later versions may add some. A header is
a map with the protocol version ``v``, the message ``type`` and ``parts``, which describes each raw frame that follows, in
order, by a map with at least a ``kind``.

Nothing that a worker imports may import this module: a template's interpreter has no msgspec.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from warmfork.errors import ProtocolError
from warmfork.results import Usage, Verdict
from warmfork.wire import limits
from warmfork.wire.frames import Frames, UnknownMessageType, UnsupportedVersion, check_sizes
from warmfork.wire.jobs import OutcomeWord
from warmfork.wire.numbers import Count, Seconds
from warmfork.wire.records import CancelOutcome, Format, MediaType, Priority, StreamName

_PROBLEM_CHARS_MAX: Final = 300
_KIND_CHARS_MAX: Final = 64

# msgspec raises each of these for some bytes: a map as a key of a map, where anything may stand, is a TypeError.
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)

JobId = Annotated[bytes, Meta(min_length=limits.JOB_ID_BYTES, max_length=limits.JOB_ID_BYTES)]
Name = Annotated[str, Meta(max_length=64)]
Instance = Annotated[str, Meta(max_length=limits.INSTANCE_CHARS_MAX)]
Path = Annotated[str, Meta(max_length=limits.PATH_BYTES_MAX)]
LongText = Annotated[str, Meta(max_length=64 * limits.KIB)]
TimeLimit = Annotated[float, Meta(ge=0.001, le=limits.TIMEOUT_S_MAX)]
Pixels = Annotated[int, Meta(ge=0, le=limits.IMAGE_PX_MAX)]
FigureNumber = Annotated[int, Meta(ge=0, le=1 << 31)]
Title = Annotated[str, Meta(max_length=limits.TITLE_CHARS_MAX)]
Parts = Annotated[list[dict[str, Any]], Meta(max_length=limits.PARTS_MAX)]


class Header(Struct, tag_field="type", kw_only=True, omit_defaults=True, frozen=True):
    """What every header has."""

    v: int
    parts: Parts = []


class Addressed(Header, frozen=True):
    """A header with the id of the request that it is, or answers."""

    id: JobId


class AskHello(Addressed, tag="hello", frozen=True):
    """Request: who the daemon is."""


class AskStatus(Addressed, tag="status", frozen=True):
    """Request: how it is."""


class AskReload(Addressed, tag="reload", frozen=True):
    """Request: read the configuration anew."""


class AskCancel(Addressed, tag="cancel", frozen=True):
    """Request: end a job."""

    job_id: JobId


Inline = Annotated[bytes, Meta(max_length=limits.INLINE_BYTES_MAX)]
"""What is short enough to need no part of its own."""


class Execute(Addressed, tag="execute", frozen=True):
    """Request: a job; see ``requests.ExecuteRequest``."""

    code: Inline | None = None
    timeout_s: TimeLimit | None = None
    deadline_s: TimeLimit | None = None
    memory_bytes: Annotated[int, Meta(ge=1, le=limits.MEMORY_BYTES_MAX)] | None = None
    formats: Annotated[list[Format], Meta(max_length=limits.FORMATS_MAX)] = []
    policy: Name | None = None
    template: Name | None = None
    rc: dict[str, Any] = {}
    redact: bool = False
    stream: bool = False
    tenant: Annotated[str, Meta(max_length=limits.TENANT_CHARS_MAX)] = ""
    priority: Priority = "interactive"
    resend: Instance = ""
    sent_s_ago: Seconds = 0.0


class FileInfo(Struct, frozen=True):
    """About a part that is a file."""

    name: Path


class TellHello(Addressed, tag="hello", frozen=True):
    """Reply; see ``replies.HelloReply``."""

    version: Name
    pid: Annotated[int, Meta(ge=0, le=1 << 31)]
    templates: Annotated[list[dict[str, Any]], Meta(max_length=64)] = []
    policies: Annotated[list[Name], Meta(max_length=16)] = []
    limits: dict[str, float | int] = {}
    features: Annotated[list[Name], Meta(max_length=64)] = []
    instance: Instance = ""


class TellStatus(Addressed, tag="status", frozen=True):
    """Reply to ``status`` and ``reload``."""

    status: dict[str, Any] = {}


class TellCancelled(Addressed, tag="cancelled", frozen=True):
    """Reply to ``cancel``."""

    outcome: CancelOutcome


class TellRefused(Addressed, tag="error", frozen=True):
    """Reply: the request was not taken."""

    code: Name
    message: Annotated[str, Meta(max_length=4_096)]


class TellOutput(Addressed, tag="output", frozen=True):
    """The next bytes of a running job's output."""

    stream: StreamName
    seq: Count
    offset: Count


class ErrorBody(Struct, omit_defaults=True, frozen=True):
    """Why a job's verdict is not ``ok``; see ``results.ErrorInfo``."""

    type: Annotated[str, Meta(max_length=500)]
    message: LongText
    line: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    traceback: LongText = ""


class DroppedBody(Struct, omit_defaults=True, frozen=True):
    """What the bounds cut away; that of the streams stands with them."""

    charts: Count = 0
    files: Count = 0


NOTHING_DROPPED: Final = DroppedBody()


class TellResult(Addressed, tag="result", frozen=True):
    """Reply to ``execute``; see ``replies.ResultReply``."""

    verdict: Verdict
    stdout: Inline = b""
    stderr: Inline = b""
    error: ErrorBody | None = None
    usage: Usage = Usage()
    dropped: DroppedBody = NOTHING_DROPPED
    exit_code: Annotated[int, Meta(ge=-(1 << 31), le=1 << 31)] | None = None
    retry_after_s: Seconds | None = None
    retry_safe: bool | None = None
    policy: Name = ""
    guarded: bool = True
    queue_length: Count | None = None


class StreamInfo(Struct, frozen=True):
    """About a part that is the head of a stream."""

    dropped: Count = 0


class ChartInfo(Struct, frozen=True):
    """About a part that is a chart."""

    media_type: MediaType
    width_px: Pixels
    height_px: Pixels
    figure_number: FigureNumber | None = None
    title: Title = ""
    file_name: Path | None = None


class SignedChartInfo(ChartInfo, kw_only=True, frozen=True):
    """The same, and the daemon's signature."""

    signature: Annotated[bytes, Meta(max_length=32)]


class Report(Header, tag="report", frozen=True):
    """What a worker says of its job; see ``jobs.JobReport``. A job can break the worker's clock: ``times_s`` may be anything."""

    outcome: OutcomeWord
    error: ErrorBody | None = None
    exit_code: Annotated[int, Meta(ge=-(1 << 31), le=(1 << 31) - 1)] | None = None
    charts_dropped: Annotated[int, Meta(ge=0, le=1 << 31)] = 0
    times_s: Any = None


AnyRequest = AskHello | AskStatus | AskReload | AskCancel | Execute
AnyReply = TellHello | TellStatus | TellCancelled | TellRefused | TellOutput | TellResult

requests: Final = msgspec.msgpack.Decoder(AnyRequest)
replies: Final = msgspec.msgpack.Decoder(AnyReply)
reports: Final = msgspec.msgpack.Decoder(Report)


class _Envelope(Struct):
    v: Annotated[int, Meta(ge=0, le=1 << 31)]
    type: Name


class _Asked(Struct):
    id: JobId


_envelopes: Final = msgspec.msgpack.Decoder(_Envelope)
_asked: Final = msgspec.msgpack.Decoder(_Asked)
pack: Final = msgspec.msgpack.Encoder().encode
"""Packs plain data, without a look at whether it is."""

_Kind = TypeVar("_Kind")


def write(header: Header, data: Sequence[bytes | memoryview] = ()) -> list[bytes | memoryview]:
    """The frames of a message: the header, then the bytes of the parts that it describes.

    Raises:
        ProtocolError: it breaks a limit of the protocol. TypeError: a field holds what is not plain data.
    """
    if len(data) > limits.PARTS_MAX:
        raise ProtocolError(f"{len(data)} parts where at most {limits.PARTS_MAX} are allowed")
    try:
        packed = pack(header)
    except (ValueError, OverflowError, RecursionError) as problem:  # a lone surrogate, an integer over 64 bits
        kind = type(header).__name__
        raise ProtocolError(f"the header of {kind} cannot be packed: {problem}"[:_PROBLEM_CHARS_MAX]) from None
    frames = [packed, *data]
    check_sizes(list(map(len, frames)))
    return frames


def read(
    frames: Frames, decoder: msgspec.msgpack.Decoder[_Kind], header_bytes_max: int = limits.HEADER_BYTES_MAX
) -> _Kind:
    """The header of any frames, which describes as many parts as there are.

    Args:
        frames: of the message.
        decoder: of the headers that there may be: ``requests``, ``replies``, ``reports``.
        header_bytes_max: bound of the header.

    Raises:
        UnsupportedVersion: it is readable and of another version.
        UnknownMessageType: it is of a type that this end does not know.
        ProtocolError: anything else that is not such a message.
    """
    check_sizes(list(map(len, frames)), header_bytes_max)
    try:
        header: Any = decoder.decode(frames[0])
    except _UNREADABLE as problem:
        raise _refusal(frames[0], problem, decoder) from None
    if header.v != limits.PROTOCOL_VERSION:
        raise _other_version(header.v)
    if len(header.parts) != len(frames) - 1:
        raise ProtocolError(f"the header describes {len(header.parts)} parts and {len(frames) - 1} frames follow it")
    return header  # type: ignore[no-any-return]


def _refusal(data: bytes | memoryview, problem: Exception, decoder: msgspec.msgpack.Decoder[Any]) -> ProtocolError:
    try:
        envelope = _envelopes.decode(data)
    except _UNREADABLE:
        return ProtocolError(f"not a message: {problem}"[:_PROBLEM_CHARS_MAX])
    if envelope.v != limits.PROTOCOL_VERSION:
        return _other_version(envelope.v)
    if envelope.type not in _TYPES[decoder]:
        return UnknownMessageType(f"{envelope.type!r} is not known to protocol version {limits.PROTOCOL_VERSION}")
    return ProtocolError(f"header of {envelope.type!r}: {problem}"[:_PROBLEM_CHARS_MAX])


def _other_version(version: int) -> UnsupportedVersion:
    return UnsupportedVersion(
        f"the message is of protocol version {version}; this end speaks version {limits.PROTOCOL_VERSION}"
    )


_TYPES: Final[dict[msgspec.msgpack.Decoder[Any], frozenset[str]]] = {
    requests: frozenset(("hello", "status", "reload", "cancel", "execute")),
    replies: frozenset(("hello", "status", "cancelled", "error", "output", "result")),
    reports: frozenset(("report",)),
}


def kind_of(info: dict[str, Any]) -> str:
    """The kind of part that this describes, or ProtocolError."""
    kind = info.get("kind")
    if type(kind) is not str or len(kind) > _KIND_CHARS_MAX:
        raise ProtocolError(f"part: field 'kind' is no text of at most {_KIND_CHARS_MAX} characters")
    return kind


def about(info: dict[str, Any], kind: type[_Kind]) -> _Kind:
    """What is told of a part, as one of the classes here, or ProtocolError."""
    try:
        return msgspec.convert(info, kind, builtin_types=(bytes,))  # which base64 would stand for otherwise
    except _UNREADABLE as problem:
        raise ProtocolError(f"part {str(info.get('kind'))[:64]!r}: {problem}"[:_PROBLEM_CHARS_MAX]) from None


def request_id_of(frames: Frames) -> bytes:
    """The id in the header of any frames, of whatever version; all zero where there is none to be read."""
    try:
        check_sizes(list(map(len, frames)))
        return _asked.decode(frames[0]).id
    except (ProtocolError, *_UNREADABLE):
        return bytes(limits.JOB_ID_BYTES)

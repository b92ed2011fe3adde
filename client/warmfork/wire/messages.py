"""Frames <-> records between client and daemon, both ends.

``decode_request`` and ``decode_reply`` take any frames and give a record or raise ProtocolError. Frames of a decoded
record are views of what came in; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.results import Dropped, ErrorInfo
from warmfork.wire import codec, headers, limits
from warmfork.wire.frames import Frames
from warmfork.wire.headers import about, kind_of, read, write
from warmfork.wire.names import check_file_name
from warmfork.wire.records import InputFile
from warmfork.wire.replies import (
    CancelReply,
    ErrorReply,
    HelloReply,
    OutputReply,
    Reply,
    ResultReply,
    SignedChart,
    StatusReply,
    StreamText,
)
from warmfork.wire.requests import CancelRequest, ExecuteRequest, HelloRequest, ReloadRequest, Request, StatusRequest
from warmfork.wire.templates import decode_template, encode_template

_V: Final = limits.PROTOCOL_VERSION
_STREAM_PARTS: Final = frozenset(("stdout", "stdout_tail", "stderr", "stderr_tail"))
_NO_TEXT: Final = StreamText()


def encode_request(request: Request) -> list[bytes | memoryview]:
    """The frames of a request. Raises ProtocolError where it breaks a limit."""
    if isinstance(request, ExecuteRequest):
        return _encode_execute(request)
    if isinstance(request, CancelRequest):
        return write(headers.AskCancel(v=_V, id=request.id, job_id=request.job_id))
    return write(_SIMPLE_REQUESTS[type(request)](v=_V, id=request.id))


_SIMPLE_REQUESTS: Final[Mapping[type, Callable[..., headers.Header]]] = {
    HelloRequest: headers.AskHello,
    StatusRequest: headers.AskStatus,
    ReloadRequest: headers.AskReload,
}


def decode_request(frames: Frames) -> Request:
    """The request that these frames are, or ProtocolError."""
    header = read(frames, headers.requests)
    if isinstance(header, headers.Execute):
        return _decode_execute(header, frames)
    if isinstance(header, headers.AskCancel):
        return CancelRequest(header.id, header.job_id)
    if isinstance(header, headers.AskHello):
        return HelloRequest(header.id)
    if isinstance(header, headers.AskStatus):
        return StatusRequest(header.id)
    return ReloadRequest(header.id)


def _encode_execute(request: ExecuteRequest) -> list[bytes | memoryview]:
    parts: list[dict[str, Any]] = []
    data: list[bytes | memoryview] = []
    short = len(request.code) <= limits.INLINE_BYTES_MAX
    if not short:
        parts.append({"kind": "code"})
        data.append(request.code)
    if request.variables is not None:
        parts.append({"kind": "variables"})
        data.append(request.variables)
    if request.stdin is not None:
        parts.append({"kind": "stdin"})
        data.append(request.stdin)
    for file in request.files:
        parts.append({"kind": "file", "name": check_file_name(file.name)})
        data.append(file.data)
    header = headers.Execute(
        v=_V,
        parts=parts,
        id=request.id,
        code=bytes(request.code) if short else None,
        timeout_s=request.timeout_s,
        deadline_s=request.deadline_s,
        memory_bytes=request.memory_bytes,
        formats=list(request.formats),  # type: ignore[arg-type]  # the other end judges
        policy=request.policy,
        template=request.template,
        rc=_carried(request.rc) if request.rc else {},
        redact=request.redact,
        stream=request.stream,
        tenant=request.tenant,
        priority=request.priority,  # type: ignore[arg-type]
        resend=request.resend,
        sent_s_ago=request.sent_s_ago,
    )
    return write(header, data)


def _carried(rc: Mapping[str, Any]) -> dict[str, Any]:
    """These settings, of plain data alone: msgspec would also carry a date, say. Raises TypeError for anything else."""
    try:
        codec.pack(dict(rc))
    except (ValueError, OverflowError) as problem:  # a lone surrogate, an integer over 64 bits, too deep a nesting
        raise ProtocolError(f"rc cannot be packed: {problem}") from None
    return dict(rc)


def _decode_execute(header: headers.Execute, frames: Frames) -> ExecuteRequest:
    single: dict[str, bytes | memoryview] = {}
    files: dict[str, InputFile] = {}
    for info, data in zip(header.parts, frames[1:], strict=True) if header.parts else ():
        kind = kind_of(info)
        if kind in ("code", "variables", "stdin"):
            if kind in single:
                raise ProtocolError(f"the part {kind!r} comes twice")
            single[kind] = data
        elif kind == "file":
            file = _decode_file(info, data)
            if file.name in files:
                raise ProtocolError(f"the file {file.name!r} comes twice")
            files[file.name] = file
    code = single.get("code", header.code)
    if code is None:
        raise ProtocolError("an execute request has no part 'code', and none in its header")
    if header.code is not None and "code" in single:
        raise ProtocolError("code stands in the header and comes as a part as well")
    if len(code) > limits.CODE_BYTES_MAX:
        raise ProtocolError(f"code of {len(code)} bytes where at most {limits.CODE_BYTES_MAX} are allowed")
    if len(files) > limits.FILES_MAX:
        raise ProtocolError(f"{len(files)} files where at most {limits.FILES_MAX} are allowed")
    if header.rc:
        codec.check_plain(header.rc)
    if len(header.formats) > 1 and len(set(header.formats)) != len(header.formats):
        raise ProtocolError("a format is named twice")
    return ExecuteRequest(
        header.id,
        code,
        single.get("variables"),
        single.get("stdin"),
        tuple(files.values()),
        header.timeout_s,
        header.deadline_s,
        header.memory_bytes,
        tuple(header.formats),
        header.policy,
        header.template,
        header.rc,
        header.redact,
        header.stream,
        header.tenant,
        header.priority,
        header.resend,
        header.sent_s_ago,
    )


def encode_reply(reply: Reply) -> list[bytes | memoryview]:
    """The frames of a reply. Raises ProtocolError where it breaks a limit."""
    if isinstance(reply, ResultReply):
        return _encode_result(reply)
    if isinstance(reply, OutputReply):
        place = headers.TellOutput(
            v=_V,
            parts=[{"kind": "output"}],
            id=reply.id,
            stream=reply.stream,  # type: ignore[arg-type]
            seq=reply.seq,
            offset=reply.offset,
        )
        return write(place, [reply.data])
    if isinstance(reply, ErrorReply):
        return write(headers.TellRefused(v=_V, id=reply.id, code=reply.code, message=reply.message))
    if isinstance(reply, CancelReply):
        return write(headers.TellCancelled(v=_V, id=reply.id, outcome=reply.outcome))  # type: ignore[arg-type]
    if isinstance(reply, StatusReply):
        return write(headers.TellStatus(v=_V, id=reply.id, status=dict(reply.status)))
    hello = headers.TellHello(
        v=_V,
        id=reply.id,
        version=reply.version,
        pid=reply.pid,
        templates=[encode_template(template) for template in reply.templates],
        policies=list(reply.policies),
        limits=dict(reply.limits),
        features=list(reply.features),
        instance=reply.instance,
    )
    return write(hello)


def decode_reply(frames: Frames) -> Reply:
    """The reply that these frames are, or ProtocolError."""
    header = read(frames, headers.replies)
    if isinstance(header, headers.TellResult):
        return _decode_result(header, frames)
    if isinstance(header, headers.TellOutput):
        return _decode_output(header, frames)
    if isinstance(header, headers.TellRefused):
        return ErrorReply(header.id, header.code, header.message)
    if isinstance(header, headers.TellCancelled):
        return CancelReply(header.id, header.outcome)
    if isinstance(header, headers.TellStatus):
        codec.check_plain(header.status)
        return StatusReply(header.id, header.status)
    return HelloReply(
        header.id,
        header.version,
        header.pid,
        tuple(map(decode_template, header.templates)),
        tuple(header.policies),
        header.limits,
        tuple(header.features),
        header.instance,
    )


def _decode_output(header: headers.TellOutput, frames: Frames) -> OutputReply:
    kinds = map(kind_of, header.parts)
    data = next((data for kind, data in zip(kinds, frames[1:], strict=True) if kind == "output"), b"")
    if not data:
        raise ProtocolError("an output message has no bytes")
    return OutputReply(header.id, header.stream, header.seq, header.offset, bytes(data))


def _encode_result(reply: ResultReply) -> list[bytes | memoryview]:
    parts: list[dict[str, Any]] = []
    data: list[bytes | memoryview] = []
    short = {"stdout": b"", "stderr": b""}
    for kind, stream in (("stdout", reply.stdout), ("stderr", reply.stderr)):
        if not (stream.dropped or stream.tail or len(stream.head) > limits.INLINE_BYTES_MAX):
            short[kind] = stream.head
        elif stream.head or stream.dropped:
            parts.append({"kind": kind, "dropped": stream.dropped})
            data.append(stream.head)
        if stream.tail:
            parts.append({"kind": f"{kind}_tail"})
            data.append(stream.tail)
    for chart in reply.charts:
        parts.append(
            {
                "kind": "chart",
                "media_type": chart.media_type,
                "width_px": chart.width_px,
                "height_px": chart.height_px,
                "signature": chart.signature,
                "figure_number": chart.figure_number,
                "title": chart.title,
                "file_name": chart.file_name,
            }
        )
        data.append(chart.data)
    for file in reply.files:
        parts.append({"kind": "file", "name": file.name})
        data.append(file.data)
    error, dropped = reply.error, reply.dropped
    header = headers.TellResult(
        v=_V,
        parts=parts,
        id=reply.id,
        verdict=reply.verdict,
        stdout=short["stdout"],
        stderr=short["stderr"],
        error=None if error is None else headers.ErrorBody(error.type, error.message, error.line, error.traceback),
        usage=reply.usage,
        dropped=headers.DroppedBody(dropped.charts, dropped.files)
        if dropped.charts or dropped.files
        else headers.NOTHING_DROPPED,
        exit_code=reply.exit_code,
        retry_after_s=reply.retry_after_s,
        retry_safe=reply.retry_safe,
        policy=reply.policy,
        guarded=reply.guarded,
        queue_length=reply.queue_length,
    )
    return write(header, data)


def _decode_result(header: headers.TellResult, frames: Frames) -> ResultReply:
    streams: dict[str, tuple[dict[str, Any], bytes | memoryview]] = {}
    charts: list[SignedChart] = []
    files: list[InputFile] = []
    for info, data in zip(header.parts, frames[1:], strict=True) if header.parts else ():
        kind = kind_of(info)
        if kind in _STREAM_PARTS:
            streams[kind] = (info, data)
        elif kind == "chart":
            charts.append(_decode_chart(info, data))
        elif kind == "file":
            files.append(_decode_file(info, data))
    stdout = _decode_stream(header.stdout, streams, "stdout", "stdout_tail")
    stderr = _decode_stream(header.stderr, streams, "stderr", "stderr_tail")
    return ResultReply(
        header.id,
        header.verdict,
        stdout,
        stderr,
        error_from(header.error),
        tuple(charts),
        tuple(files),
        header.usage,
        Dropped(stdout.dropped, stderr.dropped, header.dropped.charts, header.dropped.files),
        header.exit_code,
        header.retry_after_s,
        header.retry_safe,
        header.policy,
        header.guarded,
        header.queue_length,
    )


def error_from(body: headers.ErrorBody | None) -> ErrorInfo | None:
    """The error that a header tells."""
    return None if body is None else ErrorInfo(body.type, body.message, body.line, body.traceback)


def _decode_stream(
    short: bytes, streams: Mapping[str, tuple[dict[str, Any], bytes | memoryview]], head_kind: str, tail_kind: str
) -> StreamText:
    if head_kind not in streams:
        return StreamText(short) if short else _NO_TEXT
    if short:
        raise ProtocolError(f"{head_kind} stands in the header and comes as a part as well")
    info, head = streams[head_kind]
    tail = streams[tail_kind][1] if tail_kind in streams else b""
    return StreamText(bytes(head), bytes(tail), about(info, headers.StreamInfo).dropped)


def _decode_chart(info: dict[str, Any], data: bytes | memoryview) -> SignedChart:
    told = about(info, headers.SignedChartInfo)
    return SignedChart(
        data,
        told.media_type,
        told.width_px,
        told.height_px,
        told.signature,
        told.figure_number,
        told.title,
        None if told.file_name is None else check_file_name(told.file_name),
    )


def _decode_file(info: dict[str, Any], data: bytes | memoryview) -> InputFile:
    return InputFile(check_file_name(about(info, headers.FileInfo).name), data)

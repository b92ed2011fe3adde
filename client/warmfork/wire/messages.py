"""Frames <-> records between client and daemon, both ends.

``decode_request`` and ``decode_reply`` take any frames and give a record or raise ProtocolError. Frames of a decoded
record are views of what came in; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.results import VERDICTS, Dropped, ErrorInfo
from warmfork.wire import limits
from warmfork.wire.fields import (
    JOB_ID,
    binary,
    checked_texts,
    flag,
    integer,
    items,
    mapping,
    number,
    read,
    text,
    word,
)
from warmfork.wire.frames import Part, UnknownMessageType, from_frames, to_frames
from warmfork.wire.names import check_file_name
from warmfork.wire.output import decode_output, encode_output
from warmfork.wire.records import (
    CANCEL_OUTCOMES,
    FORMATS,
    MEDIA_TYPES,
    PRIORITIES,
    TEMPLATE_STATES,
    CancelReply,
    CancelRequest,
    ErrorReply,
    ExecuteRequest,
    HelloReply,
    HelloRequest,
    InputFile,
    LibraryInfo,
    OutputReply,
    ReloadRequest,
    Reply,
    Request,
    ResultReply,
    SignedChart,
    StatusReply,
    StatusRequest,
    StreamText,
    TemplateInfo,
)
from warmfork.wire.signature import SIGNATURE_BYTES
from warmfork.wire.usage import decode_usage, encode_usage

Frames = Sequence[bytes | memoryview]
_COUNT_MAX: Final = 1 << 62
_NOTHING: Final[dict[str, Any]] = {}

_CANCEL: Final = (JOB_ID, binary("job_id", bytes_min=limits.JOB_ID_BYTES, bytes_max=limits.JOB_ID_BYTES))
_EXECUTE: Final = (
    JOB_ID,
    number("timeout_s", 0.001, limits.TIMEOUT_S_MAX, default=None),
    number("deadline_s", 0.001, limits.TIMEOUT_S_MAX, default=None),
    integer("memory_bytes", 1, limits.MEMORY_BYTES_MAX, default=None),
    items("formats", count_max=limits.FORMATS_MAX),
    text("policy", chars_max=64, default=None),
    text("template", chars_max=64, default=None),
    mapping("rc", default=_NOTHING),
    flag("redact"),
    flag("stream"),
    text("tenant", chars_max=limits.TENANT_CHARS_MAX, default=""),
    word("priority", PRIORITIES, default=PRIORITIES[0]),
    text("resend", chars_max=limits.INSTANCE_CHARS_MAX, default=""),
    number("sent_s_ago", 0, 1e9, default=0.0),
)
_FILE: Final = (text("name", chars_max=limits.PATH_BYTES_MAX),)
_TEMPLATE: Final = (
    text("name", chars_max=64),
    text("python", chars_max=200, default=""),
    text("font", chars_max=200, default=""),
    word("state", TEMPLATE_STATES, default="ready"),
    items("libraries", count_max=1_000),
)
_LIBRARY: Final = (
    text("name", chars_max=200),
    text("version", chars_max=200, default=""),
    number("import_s", 0, 1e9, default=0.0),
    text("error", chars_max=2_000, default=""),
)
_HELLO: Final = (
    JOB_ID,
    text("version", chars_max=64),
    integer("pid", 0, 1 << 31),
    items("templates", count_max=64),
    items("policies", count_max=16),
    mapping("limits", default=_NOTHING),
    items("features", count_max=64),
    text("instance", chars_max=limits.INSTANCE_CHARS_MAX, default=""),
)
_STATUS: Final = (JOB_ID, mapping("status", default=_NOTHING))
_CANCELLED: Final = (JOB_ID, word("outcome", CANCEL_OUTCOMES))
_REFUSED: Final = (JOB_ID, text("code", chars_max=64), text("message", chars_max=4_096))
_ERROR: Final = (
    text("type", chars_max=500),
    text("message", chars_max=64 * limits.KIB),
    integer("line", 0, 1 << 31, default=None),
    text("traceback", chars_max=64 * limits.KIB, default=""),
)
_RESULT: Final = (
    JOB_ID,
    word("verdict", VERDICTS),
    mapping("error", default=_NOTHING),
    mapping("usage", default=_NOTHING),
    mapping("dropped", default=_NOTHING),
    integer("exit_code", -(1 << 31), 1 << 31, default=None),
    number("retry_after_s", 0, 1e9, default=None),
    flag("retry_safe", default=None),
    text("policy", chars_max=64, default=""),
    flag("guarded", default=True),
    integer("queue_length", 0, _COUNT_MAX, default=None),
)
_DROPPED: Final = (integer("charts", 0, _COUNT_MAX, default=0), integer("files", 0, _COUNT_MAX, default=0))
_STREAM: Final = (integer("dropped", 0, _COUNT_MAX, default=0),)
_CHART: Final = (
    word("media_type", MEDIA_TYPES),
    integer("width_px", 0, limits.IMAGE_PX_MAX),
    integer("height_px", 0, limits.IMAGE_PX_MAX),
    binary("signature", bytes_max=SIGNATURE_BYTES),
    integer("figure_number", 0, 1 << 31, default=None),
    text("title", chars_max=limits.TITLE_CHARS_MAX, default=""),
    text("file_name", chars_max=limits.PATH_BYTES_MAX, default=None),
)


def encode_request(request: Request) -> list[bytes | memoryview]:
    """The frames of a request. Raises ProtocolError where it breaks a limit."""
    if isinstance(request, ExecuteRequest):
        return _encode_execute(request)
    if isinstance(request, HelloRequest):
        return to_frames("hello", {"id": request.id})
    if isinstance(request, StatusRequest):
        return to_frames("status", {"id": request.id})
    if isinstance(request, ReloadRequest):
        return to_frames("reload", {"id": request.id})
    return to_frames("cancel", {"id": request.id, "job_id": request.job_id})


def decode_request(frames: Frames) -> Request:
    """The request that these frames are, or ProtocolError."""
    type_, header, parts = from_frames(frames)
    if type_ == "execute":
        return _decode_execute(header, parts)
    if type_ == "cancel":
        return CancelRequest(*read("header", header, _CANCEL))
    request_id = read("header", header, (JOB_ID,))[0]
    if type_ == "hello":
        return HelloRequest(request_id)
    if type_ == "status":
        return StatusRequest(request_id)
    if type_ == "reload":
        return ReloadRequest(request_id)
    raise UnknownMessageType(f"{type_!r} is not a request of protocol version {limits.PROTOCOL_VERSION}")


def _encode_execute(request: ExecuteRequest) -> list[bytes | memoryview]:
    parts = [Part("code", request.code)]
    if request.variables is not None:
        parts.append(Part("variables", request.variables))
    if request.stdin is not None:
        parts.append(Part("stdin", request.stdin))
    parts += [Part("file", file.data, {"name": check_file_name(file.name)}) for file in request.files]
    header: dict[str, Any] = {
        "id": request.id,
        "timeout_s": request.timeout_s,
        "deadline_s": request.deadline_s,
        "memory_bytes": request.memory_bytes,
        "formats": list(request.formats),
        "policy": request.policy,
        "template": request.template,
        "rc": dict(request.rc),
    }
    if request.redact:
        header["redact"] = True
    if request.stream:
        header["stream"] = True
    if request.tenant:
        header["tenant"] = request.tenant
    if request.priority != PRIORITIES[0]:
        header["priority"] = request.priority
    if request.resend:
        header |= {"resend": request.resend, "sent_s_ago": request.sent_s_ago}
    return to_frames("execute", header, parts)


def _decode_execute(header: Mapping[str, Any], parts: Sequence[Part]) -> ExecuteRequest:
    single: dict[str, bytes | memoryview] = {}
    files: dict[str, InputFile] = {}
    for part in parts:
        if part.kind in ("code", "variables", "stdin"):
            if part.kind in single:
                raise ProtocolError(f"the part {part.kind!r} comes twice")
            single[part.kind] = part.data
        elif part.kind == "file":
            file = _decode_file(part)
            if file.name in files:
                raise ProtocolError(f"the file {file.name!r} comes twice")
            files[file.name] = file
    if "code" not in single:
        raise ProtocolError("an execute request has no part 'code'")
    if len(single["code"]) > limits.CODE_BYTES_MAX:
        raise ProtocolError(f"code of {len(single['code'])} bytes where at most {limits.CODE_BYTES_MAX} are allowed")
    if len(files) > limits.FILES_MAX:
        raise ProtocolError(f"{len(files)} files where at most {limits.FILES_MAX} are allowed")
    (
        request_id,
        timeout_s,
        deadline_s,
        memory_bytes,
        formats,
        policy,
        template,
        rc,
        redact,
        stream,
        tenant,
        priority,
        resend,
        sent_s_ago,
    ) = read("header", header, _EXECUTE)
    for name in formats:
        if name not in FORMATS:
            raise ProtocolError(f"format {str(name)[:16]!r} is not known; charts come as {', '.join(FORMATS)}")
    if len(set(formats)) != len(formats):
        raise ProtocolError("a format is named twice")
    return ExecuteRequest(
        id=request_id,
        code=single["code"],
        variables=single.get("variables"),
        stdin=single.get("stdin"),
        files=tuple(files.values()),
        timeout_s=timeout_s,
        deadline_s=deadline_s,
        memory_bytes=memory_bytes,
        formats=tuple(formats),
        policy=policy,
        template=template,
        rc=rc,
        redact=redact,
        stream=stream,
        tenant=tenant,
        priority=priority,
        resend=resend,
        sent_s_ago=sent_s_ago,
    )


def encode_reply(reply: Reply) -> list[bytes | memoryview]:
    """The frames of a reply. Raises ProtocolError where it breaks a limit."""
    if isinstance(reply, ResultReply):
        return _encode_result(reply)
    if isinstance(reply, OutputReply):
        return encode_output(reply)
    if isinstance(reply, ErrorReply):
        return to_frames("error", {"id": reply.id, "code": reply.code, "message": reply.message})
    if isinstance(reply, CancelReply):
        return to_frames("cancelled", {"id": reply.id, "outcome": reply.outcome})
    if isinstance(reply, StatusReply):
        return to_frames("status", {"id": reply.id, "status": dict(reply.status)})
    header = {
        "id": reply.id,
        "version": reply.version,
        "pid": reply.pid,
        "templates": [encode_template(template) for template in reply.templates],
        "policies": list(reply.policies),
        "limits": dict(reply.limits),
        "features": list(reply.features),
        "instance": reply.instance,
    }
    return to_frames("hello", header)


def encode_template(template: TemplateInfo) -> dict[str, Any]:
    """A template's description as plain data."""
    return {
        "name": template.name,
        "python": template.python,
        "font": template.font,
        "state": template.state,
        "libraries": [
            {"name": item.name, "version": item.version, "import_s": item.import_s, "error": item.error}
            for item in template.libraries
        ],
    }


def decode_template(data: Any) -> TemplateInfo:
    """The inverse of ``encode_template``, or ProtocolError."""
    name, python, font, state, found = read("template", data, _TEMPLATE)
    libraries = tuple(LibraryInfo(*read("library", item, _LIBRARY)) for item in found)
    return TemplateInfo(name, python, libraries, font, state)


def decode_reply(frames: Frames) -> Reply:
    """The reply that these frames are, or ProtocolError."""
    type_, header, parts = from_frames(frames)
    decoder = _REPLY_DECODERS.get(type_)
    if decoder is None:
        raise UnknownMessageType(f"{type_!r} is not a reply of protocol version {limits.PROTOCOL_VERSION}")
    return decoder(header, parts)


def _decode_hello(header: Mapping[str, Any], parts: Sequence[Part]) -> HelloReply:
    request_id, version, pid, templates, policies, bounds, features, instance = read("header", header, _HELLO)
    return HelloReply(
        request_id,
        version,
        pid,
        tuple(map(decode_template, templates)),
        checked_texts("header", "policies", policies, chars_max=64),
        _numbers(bounds),
        checked_texts("header", "features", features, chars_max=64),
        instance,
    )


def _numbers(bounds: Mapping[str, Any]) -> dict[str, float | int]:
    for name, value in bounds.items():
        if type(value) not in (int, float):
            raise ProtocolError(f"limit {name!r} is not a number")
    return dict(bounds)


def _decode_status(header: Mapping[str, Any], parts: Sequence[Part]) -> StatusReply:
    return StatusReply(*read("header", header, _STATUS))


def _decode_cancel(header: Mapping[str, Any], parts: Sequence[Part]) -> CancelReply:
    return CancelReply(*read("header", header, _CANCELLED))


def _decode_error(header: Mapping[str, Any], parts: Sequence[Part]) -> ErrorReply:
    return ErrorReply(*read("header", header, _REFUSED))


def _encode_result(reply: ResultReply) -> list[bytes | memoryview]:
    parts: list[Part] = []
    for kind, stream in (("stdout", reply.stdout), ("stderr", reply.stderr)):
        if stream.head or stream.dropped:  # each frame costs both ends tens of microseconds
            parts.append(Part(kind, stream.head, {"dropped": stream.dropped}))
        if stream.tail:
            parts.append(Part(f"{kind}_tail", stream.tail))
    for chart in reply.charts:
        info = {
            "media_type": chart.media_type,
            "width_px": chart.width_px,
            "height_px": chart.height_px,
            "signature": chart.signature,
            "figure_number": chart.figure_number,
            "title": chart.title,
            "file_name": chart.file_name,
        }
        parts.append(Part("chart", chart.data, info))
    parts += [Part("file", file.data, {"name": file.name}) for file in reply.files]
    dropped = reply.dropped
    header = {
        "id": reply.id,
        "verdict": reply.verdict,
        "error": encode_error(reply.error),
        "usage": encode_usage(reply.usage),
        "dropped": {"charts": dropped.charts, "files": dropped.files},
        "exit_code": reply.exit_code,
        "retry_after_s": reply.retry_after_s,
        "retry_safe": reply.retry_safe,
        "policy": reply.policy,
        "guarded": reply.guarded,
    }
    if reply.queue_length is not None:
        header["queue_length"] = reply.queue_length
    return to_frames("result", header, parts)


def encode_error(error: ErrorInfo | None) -> dict[str, Any] | None:
    """An error's description as plain data."""
    if error is None:
        return None
    return {"type": error.type, "message": error.message, "line": error.line, "traceback": error.traceback}


def decode_error(source: Any) -> ErrorInfo | None:
    """The inverse of ``encode_error``, or ProtocolError."""
    return ErrorInfo(*read("header: error", source, _ERROR)) if source else None


def _decode_result(header: Mapping[str, Any], parts: Sequence[Part]) -> ResultReply:
    (
        job_id,
        verdict,
        error,
        usage,
        dropped,
        exit_code,
        retry_after_s,
        retry_safe,
        policy,
        guarded,
        queue_length,
    ) = read("header", header, _RESULT)
    streams = {part.kind: part for part in parts if part.kind in _STREAM_PARTS}
    stdout = _decode_stream(streams, "stdout", "stdout_tail") if streams else _NO_TEXT
    stderr = _decode_stream(streams, "stderr", "stderr_tail") if streams else _NO_TEXT
    charts_dropped, files_dropped = read("header: dropped", dropped, _DROPPED)
    return ResultReply(
        id=job_id,
        verdict=verdict,
        stdout=stdout,
        stderr=stderr,
        error=decode_error(error),
        charts=tuple([_decode_chart(part) for part in parts if part.kind == "chart"]),
        files=tuple([_decode_file(part) for part in parts if part.kind == "file"]),
        usage=decode_usage("header: usage", usage),
        dropped=Dropped(stdout.dropped, stderr.dropped, charts_dropped, files_dropped),
        exit_code=exit_code,
        retry_after_s=retry_after_s,
        retry_safe=retry_safe,
        policy=policy,
        guarded=guarded,
        queue_length=queue_length,
    )


_STREAM_PARTS: Final = frozenset(("stdout", "stdout_tail", "stderr", "stderr_tail"))
_NO_TEXT: Final = StreamText()


def _decode_stream(streams: Mapping[str, Part], head_kind: str, tail_kind: str) -> StreamText:
    head, tail = streams.get(head_kind), streams.get(tail_kind)
    if head is None:
        return _NO_TEXT
    return StreamText(
        bytes(head.data), bytes(tail.data) if tail is not None else b"", read(head_kind, head.info, _STREAM)[0]
    )


def _decode_chart(part: Part) -> SignedChart:
    media_type, width_px, height_px, signature, figure_number, title, name = read("chart", part.info, _CHART)
    return SignedChart(
        part.data,
        media_type,
        width_px,
        height_px,
        signature,
        figure_number,
        title,
        None if name is None else check_file_name(name),
    )


def _decode_file(part: Part) -> InputFile:
    return InputFile(check_file_name(read("file", part.info, _FILE)[0]), part.data)


_REPLY_DECODERS: Final[Mapping[str, Callable[[Mapping[str, Any], Sequence[Part]], Reply]]] = {
    "hello": _decode_hello,
    "status": _decode_status,
    "cancelled": _decode_cancel,
    "error": _decode_error,
    "result": _decode_result,
    "output": decode_output,
}

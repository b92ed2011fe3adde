"""Frames <-> records between client and daemon, both ends.

``decode_request`` and ``decode_reply`` take any frames and give a record or raise ProtocolError. Frames of a decoded
record are views of what came in; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from warmfork.errors import ProtocolError
from warmfork.results import VERDICTS, Dropped, ErrorInfo, Verdict
from warmfork.wire import limits
from warmfork.wire.fields import Fields
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


def encode_request(request: Request) -> list[bytes | memoryview]:
    """The frames of a request. Raises ProtocolError where it breaks a limit."""
    if isinstance(request, HelloRequest):
        return to_frames("hello", {"id": request.id})
    if isinstance(request, StatusRequest):
        return to_frames("status", {"id": request.id})
    if isinstance(request, ReloadRequest):
        return to_frames("reload", {"id": request.id})
    if isinstance(request, CancelRequest):
        return to_frames("cancel", {"id": request.id, "job_id": request.job_id})
    return _encode_execute(request)


def decode_request(frames: Frames) -> Request:
    """The request that these frames are, or ProtocolError."""
    type_, fields, parts = from_frames(frames)
    request_id = fields.job_id()
    if type_ == "hello":
        return HelloRequest(request_id)
    if type_ == "status":
        return StatusRequest(request_id)
    if type_ == "reload":
        return ReloadRequest(request_id)
    if type_ == "cancel":
        return CancelRequest(request_id, fields.job_id("job_id"))
    if type_ == "execute":
        return _decode_execute(request_id, fields, parts)
    raise UnknownMessageType(f"{type_!r} is not a request of protocol version {limits.PROTOCOL_VERSION}")


def _encode_execute(request: ExecuteRequest) -> list[bytes | memoryview]:
    parts = [Part("code", request.code)]
    if request.variables is not None:
        parts.append(Part("variables", request.variables))
    if request.stdin is not None:
        parts.append(Part("stdin", request.stdin))
    parts.extend(Part("file", file.data, {"name": check_file_name(file.name)}) for file in request.files)
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


def _decode_execute(request_id: bytes, fields: Fields, parts: Sequence[Part]) -> ExecuteRequest:
    single: dict[str, bytes | memoryview] = {}
    files: dict[str, InputFile] = {}
    for part in parts:
        if part.kind in ("code", "variables", "stdin"):
            if part.kind in single:
                raise ProtocolError(f"the part {part.kind!r} comes twice")
            single[part.kind] = part.data
        elif part.kind == "file":
            name = check_file_name(Fields(part.info, "file").text("name", chars_max=limits.PATH_BYTES_MAX))
            if name in files:
                raise ProtocolError(f"the file {name!r} comes twice")
            files[name] = InputFile(name, part.data)
    if "code" not in single:
        raise ProtocolError("an execute request has no part 'code'")
    if len(single["code"]) > limits.CODE_BYTES_MAX:
        raise ProtocolError(f"code of {len(single['code'])} bytes where at most {limits.CODE_BYTES_MAX} are allowed")
    if len(files) > limits.FILES_MAX:
        raise ProtocolError(f"{len(files)} files where at most {limits.FILES_MAX} are allowed")
    return ExecuteRequest(
        id=request_id,
        code=single["code"],
        variables=single.get("variables"),
        stdin=single.get("stdin"),
        files=tuple(files.values()),
        timeout_s=fields.optional_number("timeout_s", 0.001, limits.TIMEOUT_S_MAX),
        deadline_s=fields.optional_number("deadline_s", 0.001, limits.TIMEOUT_S_MAX),
        memory_bytes=fields.optional_integer("memory_bytes", 1, limits.MEMORY_BYTES_MAX),
        formats=_decode_formats(fields),
        policy=fields.optional_text("policy", chars_max=64),
        template=fields.optional_text("template", chars_max=64),
        rc=fields.mapping("rc"),
        redact=fields.flag("redact"),
        stream=fields.flag("stream"),
        tenant=fields.text("tenant", chars_max=limits.TENANT_CHARS_MAX, default=""),
        priority=fields.word("priority", PRIORITIES, default=PRIORITIES[0]),
        resend=fields.text("resend", chars_max=limits.INSTANCE_CHARS_MAX, default=""),
        sent_s_ago=fields.number("sent_s_ago", 0, 1e9, default=0.0),
    )


def _decode_formats(fields: Fields) -> tuple[str, ...]:
    formats = fields.texts("formats", count_max=limits.FORMATS_MAX, chars_max=16)
    for name in formats:
        if name not in FORMATS:
            raise ProtocolError(f"format {name!r} is not known; charts come as {', '.join(FORMATS)}")
    if len(set(formats)) != len(formats):
        raise ProtocolError("a format is named twice")
    return formats


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
    fields = Fields(data, "template")
    libraries = []
    for item in fields.items("libraries", count_max=1_000):
        library = Fields(item, "library")
        libraries.append(
            LibraryInfo(
                library.text("name", chars_max=200),
                library.text("version", chars_max=200, default=""),
                library.number("import_s", 0, 1e9, default=0.0),
                library.text("error", chars_max=2_000, default=""),
            )
        )
    return TemplateInfo(
        fields.text("name", chars_max=64),
        fields.text("python", chars_max=200, default=""),
        tuple(libraries),
        fields.text("font", chars_max=200, default=""),
        fields.word("state", TEMPLATE_STATES, default="ready"),
    )


def decode_reply(frames: Frames) -> Reply:
    """The reply that these frames are, or ProtocolError."""
    type_, fields, parts = from_frames(frames)
    decoder = _REPLY_DECODERS.get(type_)
    if decoder is None:
        raise UnknownMessageType(f"{type_!r} is not a reply of protocol version {limits.PROTOCOL_VERSION}")
    return decoder(fields, parts)


def _decode_hello(fields: Fields, parts: Sequence[Part]) -> HelloReply:
    return HelloReply(
        fields.job_id(),
        fields.text("version", chars_max=64),
        fields.integer("pid", 0, 1 << 31),
        tuple(decode_template(item) for item in fields.items("templates", count_max=64)),
        fields.texts("policies", count_max=16, chars_max=64),
        _numbers(fields.mapping("limits")),
        fields.texts("features", count_max=64, chars_max=64),
        fields.text("instance", chars_max=limits.INSTANCE_CHARS_MAX, default=""),
    )


def _numbers(items: Mapping[str, Any]) -> dict[str, float | int]:
    for name, value in items.items():
        if type(value) not in (int, float):
            raise ProtocolError(f"limit {name!r} is not a number")
    return dict(items)


def _decode_status(fields: Fields, parts: Sequence[Part]) -> StatusReply:
    return StatusReply(fields.job_id(), fields.mapping("status"))


def _decode_cancel(fields: Fields, parts: Sequence[Part]) -> CancelReply:
    return CancelReply(fields.job_id(), fields.word("outcome", CANCEL_OUTCOMES))


def _decode_error(fields: Fields, parts: Sequence[Part]) -> ErrorReply:
    return ErrorReply(fields.job_id(), fields.text("code", chars_max=64), fields.text("message", chars_max=4_096))


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
    parts.extend(Part("file", file.data, {"name": file.name}) for file in reply.files)
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


def decode_error(fields: Fields, name: str = "error") -> ErrorInfo | None:
    """The inverse of ``encode_error``, or ProtocolError."""
    if not fields.mapping(name):
        return None
    error = fields.inner(name)
    return ErrorInfo(
        error.text("type", chars_max=500),
        error.text("message", chars_max=64 * limits.KIB),
        error.optional_integer("line", 0, 1 << 31),
        error.text("traceback", chars_max=64 * limits.KIB, default=""),
    )


def _decode_result(fields: Fields, parts: Sequence[Part]) -> ResultReply:
    by_kind = {part.kind: part for part in parts if part.kind in ("stdout", "stdout_tail", "stderr", "stderr_tail")}
    dropped = fields.inner("dropped")
    stdout, stderr = _decode_stream(by_kind, "stdout"), _decode_stream(by_kind, "stderr")
    return ResultReply(
        id=fields.job_id(),
        verdict=cast(Verdict, fields.word("verdict", VERDICTS)),
        stdout=stdout,
        stderr=stderr,
        error=decode_error(fields),
        charts=tuple(_decode_chart(part) for part in parts if part.kind == "chart"),
        files=tuple(_decode_file(part) for part in parts if part.kind == "file"),
        usage=decode_usage(fields.inner("usage")),
        dropped=Dropped(
            stdout.dropped,
            stderr.dropped,
            dropped.integer("charts", 0, _COUNT_MAX, default=0),
            dropped.integer("files", 0, _COUNT_MAX, default=0),
        ),
        exit_code=fields.optional_integer("exit_code", -(1 << 31), 1 << 31),
        retry_after_s=fields.optional_number("retry_after_s", 0, 1e9),
        retry_safe=fields.optional_flag("retry_safe"),
        policy=fields.text("policy", chars_max=64, default=""),
        guarded=fields.flag("guarded", default=True),
        queue_length=fields.optional_integer("queue_length", 0, _COUNT_MAX),
    )


def _decode_stream(by_kind: Mapping[str, Part], kind: str) -> StreamText:
    head, tail = by_kind.get(kind), by_kind.get(f"{kind}_tail")
    if head is None:
        return StreamText()
    return StreamText(
        bytes(head.data),
        bytes(tail.data) if tail is not None else b"",
        Fields(head.info, kind).integer("dropped", 0, _COUNT_MAX, default=0),
    )


def _decode_chart(part: Part) -> SignedChart:
    info = Fields(part.info, "chart")
    name = info.optional_text("file_name", chars_max=limits.PATH_BYTES_MAX)
    return SignedChart(
        part.data,
        info.word("media_type", MEDIA_TYPES),
        info.integer("width_px", 0, limits.IMAGE_PX_MAX),
        info.integer("height_px", 0, limits.IMAGE_PX_MAX),
        info.binary("signature", bytes_max=SIGNATURE_BYTES),
        info.optional_integer("figure_number", 0, 1 << 31),
        info.text("title", chars_max=limits.TITLE_CHARS_MAX, default=""),
        None if name is None else check_file_name(name),
    )


def _decode_file(part: Part) -> InputFile:
    name = Fields(part.info, "file").text("name", chars_max=limits.PATH_BYTES_MAX)
    return InputFile(check_file_name(name), part.data)


_REPLY_DECODERS: Final[Mapping[str, Callable[[Fields, Sequence[Part]], Reply]]] = {
    "hello": _decode_hello,
    "status": _decode_status,
    "cancelled": _decode_cancel,
    "error": _decode_error,
    "result": _decode_result,
    "output": decode_output,
}

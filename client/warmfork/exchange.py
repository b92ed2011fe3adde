"""From arguments to a request, and from a reply to a verified result. No sockets here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from warmfork.errors import ProtocolError, RequestRefused, SignatureError
from warmfork.results import NO_FILES, Chart, ErrorInfo, Result
from warmfork.wire import limits
from warmfork.wire.names import check_file_name
from warmfork.wire.records import FORMATS, PRIORITIES, InputFile
from warmfork.wire.replies import ErrorReply, HelloReply, Reply, ResultReply, SignedChart, StreamText
from warmfork.wire.requests import ExecuteRequest
from warmfork.wire.signature import chart_is_authentic
from warmfork.wire.values import pack_variables

GRACE_S: Final = 5.0
_FORMATS_KNOWN: Final = frozenset(FORMATS)
_FORMATS_USUAL: Final = FORMATS[:1]


def new_id() -> bytes:
    """128 random bits, the kernel's (as ``secrets`` gives them, without its two functions on the way)."""
    return os.urandom(limits.JOB_ID_BYTES)


def build_request(
    code: str,
    *,
    variables: Mapping[str, Any] | None,
    files: Mapping[str, bytes] | None,
    stdin: str | bytes | None,
    timeout_s: float | None,
    deadline_s: float | None,
    memory_bytes: int | None,
    formats: Sequence[str],
    policy: str | None,
    template: str | None,
    rc: Mapping[str, Any] | None,
    job_id: str | None,
    redact: bool | None = False,
    stream: bool | None = False,
    tenant: str = "",
    priority: str = PRIORITIES[0],
) -> ExecuteRequest:
    """The request for these arguments of ``execute``.

    Raises:
        ValueNotCarried: a variable cannot travel as what it is.
        ValueError, TypeError: an argument is not what ``execute`` takes; the message names it.
    """
    if not isinstance(code, str):
        raise TypeError(f"code is {type(code).__name__}; pass the source as str")
    if stdin is not None and not isinstance(stdin, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"stdin is {type(stdin).__name__}; pass its text as str, or bytes")
    if isinstance(formats, str):
        raise TypeError(f"formats is the text {formats!r}; pass a tuple such as ({formats!r},)")
    if formats != _FORMATS_USUAL and (not _FORMATS_KNOWN.issuperset(formats) or len(set(formats)) != len(formats)):
        raise ValueError(f"formats {tuple(formats)!r}: each of {', '.join(FORMATS)} may be named once")
    if timeout_s is not None:
        check_seconds("timeout_s", timeout_s)
    if deadline_s is not None:
        check_seconds("deadline_s", deadline_s)
    if memory_bytes is not None and (type(memory_bytes) is not int or not 1 <= memory_bytes <= limits.MEMORY_BYTES_MAX):
        raise ValueError(f"memory_bytes is {memory_bytes!r}; give a positive whole number of bytes, such as 512 << 20")
    if not isinstance(tenant, str) or len(tenant) > limits.TENANT_CHARS_MAX:
        raise ValueError(f"tenant is {tenant!r}; give a text of at most {limits.TENANT_CHARS_MAX} characters")
    if priority not in PRIORITIES:
        raise ValueError(f"priority is {priority!r}; give one of {', '.join(PRIORITIES)}")
    return ExecuteRequest(
        id=new_id() if job_id is None else _id_from(job_id),
        code=code.encode("utf-8", "surrogatepass"),
        variables=pack_variables(variables) if variables else None,
        stdin=stdin.encode() if isinstance(stdin, str) else stdin,
        files=tuple([_input_file(name, data) for name, data in files.items()]) if files else (),
        timeout_s=None if timeout_s is None else float(timeout_s),
        deadline_s=None if deadline_s is None else float(deadline_s),
        memory_bytes=memory_bytes,
        formats=tuple(formats),
        policy=policy,
        template=template,
        rc=dict(rc or {}),
        redact=bool(redact),
        stream=bool(stream),
        tenant=tenant,
        priority=priority,
    )


def check_seconds(name: str, number: float) -> None:
    """Raise ValueError for what ``execute`` does not take as a time."""
    if not 0.001 <= number <= limits.TIMEOUT_S_MAX:
        raise ValueError(f"{name} is {number!r}; give seconds from 0.001 to {limits.TIMEOUT_S_MAX:g}")


def _id_from(job_id: str) -> bytes:
    try:
        packed = bytes.fromhex(job_id)
    except ValueError:
        packed = b""
    if len(packed) != limits.JOB_ID_BYTES:
        raise ValueError(f"job_id is {job_id!r}; give {2 * limits.JOB_ID_BYTES} hexadecimal digits, or leave it out")
    return packed


def _input_file(name: str, data: bytes) -> InputFile:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"files[{name!r}] is {type(data).__name__}; pass its content as bytes")
    try:
        return InputFile(check_file_name(name), bytes(data) if isinstance(data, bytearray) else data)
    except ProtocolError as problem:
        raise ValueError(str(problem)) from None


def require_redaction(hello: HelloReply) -> None:
    """Raise RequestRefused for a daemon too old to redact: it would ignore the wish, and nothing may come back as it is."""
    if "redact" not in hello.features:
        raise RequestRefused(
            "redact_unsupported", f"this daemon ({hello.version}) cannot redact; nothing was submitted"
        )


def wait_s_for(request: ExecuteRequest, hello: HelloReply) -> float:
    """How long the client waits for the reply: its deadline, or the longest queue and the job's timeout; and a grace."""
    if request.deadline_s is not None:
        return request.deadline_s + GRACE_S
    timeout_s = request.timeout_s or float(hello.limits.get("timeout_s", 120.0))
    return timeout_s + float(hello.limits.get("queue_wait_s_max", 600.0)) + GRACE_S


def check_reply(reply: Reply) -> Reply:
    """The reply, unless it is a typed refusal. Raises RequestRefused."""
    if isinstance(reply, ErrorReply):
        raise RequestRefused(reply.code, reply.message)
    return reply


def result_from(reply: Reply, job_id: bytes, key: bytes) -> Result:
    """The verified result of a job.

    Args:
        reply: as decoded.
        job_id: of the job that was asked for; signatures must be for it.
        key: of the daemon.

    Raises:
        SignatureError: a chart is not what the daemon signed for this job and place.
        RequestRefused: the daemon did not take the request.
        ProtocolError: the reply is not one to ``execute``.
    """
    check_reply(reply)
    if not isinstance(reply, ResultReply):
        raise ProtocolError(f"a {type(reply).__name__} came where a result is expected")
    charts: tuple[Chart, ...] = ()
    files: Mapping[str, bytes] = NO_FILES
    if reply.charts or reply.files:
        charts = tuple([_verified(chart, index, job_id, key) for index, chart in enumerate(reply.charts)])
        collected = {file.name: bytes(file.data) for file in reply.files}
        saved = {chart.file_name: chart.data for chart in charts if chart.file_name is not None}
        files = MappingProxyType(collected | saved)
    return Result(
        job_id=job_id.hex(),
        verdict=reply.verdict,
        stdout=text_of(reply.stdout),
        stderr=text_of(reply.stderr),
        error=reply.error,
        charts=charts,
        files=files,
        usage=reply.usage,
        dropped=reply.dropped,
        exit_code=reply.exit_code,
        retry_after_s=reply.retry_after_s,
        retry_safe=reply.retry_safe,
        policy=reply.policy,
        guarded=reply.guarded,
        queue_length=reply.queue_length,
    )


def _verified(chart: SignedChart, index: int, job_id: bytes, key: bytes) -> Chart:
    if not chart_is_authentic(key, job_id, index, chart.media_type, chart.data, chart.signature):
        raise SignatureError(
            f"chart {index} of job {job_id.hex()} is not what the daemon signed (altered bytes, another key, another "
            "place or another job); the result is withheld. If the daemon was given a new key, make a new client"
        )
    return Chart(
        data=bytes(chart.data),
        media_type=chart.media_type,
        width_px=chart.width_px,
        height_px=chart.height_px,
        index=index,
        figure_number=chart.figure_number,
        title=chart.title,
        file_name=chart.file_name,
        signature=chart.signature,
    )


def text_of(stream: StreamText) -> str:
    """A bounded stream as text; where bytes were dropped, a line between head and tail says how many."""
    head = stream.head.decode("utf-8", "replace")
    if not stream.dropped:
        return head
    return f"{head}\n... [{stream.dropped} bytes dropped] ...\n{stream.tail.decode('utf-8', 'replace')}"


def lost_result(job_id: bytes) -> Result:
    """The result of a job whose daemon went away before it replied."""
    message = (
        "The connection to the daemon ended before it replied (the daemon stopped or died). The job may have run, "
        "in whole or in part: a retry is not safe if it has effects outside."
    )
    return Result(job_id.hex(), "lost", error=ErrorInfo("ConnectionLost", message), retry_safe=False)

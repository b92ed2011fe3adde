"""Replies as frames, and requests that cannot be read as replies. Pure."""

from __future__ import annotations

import logging

from warmfork.errors import ProtocolError
from warmfork.results import ErrorInfo, Verdict
from warmfork.wire.frames import UnknownMessageType, UnsupportedVersion
from warmfork.wire.headers import request_id_of
from warmfork.wire.messages import encode_reply
from warmfork.wire.replies import ErrorReply, ResultReply
from warmfork_daemon.frontend import Frames
from warmfork_daemon.logs import told

log = logging.getLogger("warmfork.answering")

_MESSAGE_CHARS_MAX = 4_000


def frames_of(reply: ResultReply) -> Frames:
    """A result as frames; where it cannot be written down, a result that says so: one job's loss, never the daemon's."""
    try:
        return encode_reply(reply)
    except Exception as problem:  # a limit of the protocol, or no memory
        log.exception("reply not written", extra=told(job=reply.id.hex(), problem=problem))
        why = str(problem) or type(problem).__name__
        message = f"The job ended as {reply.verdict}, but its result could not be written down: {why}."
        error = ErrorInfo("NotSent", message[:_MESSAGE_CHARS_MAX])
        return encode_reply(ResultReply(reply.id, "lost", error=error, retry_safe=False))


def not_composed(job_id: bytes, verdict: Verdict, problem: Exception) -> ResultReply:
    """The reply to a job whose result could not be put together, for lack of memory say."""
    message = (
        f"The job ended as {verdict}, but its result could not be put together ({type(problem).__name__}). "
        "It ran: a retry is not safe if it has effects outside."
    )
    return ResultReply(job_id, "lost", error=ErrorInfo("NotComposed", message), retry_safe=False)


def not_delivered(job_id: bytes, verdict: Verdict) -> Frames:
    """What a client gets in place of a result that there was no room to keep until it would take it."""
    message = (
        f"The job ended as {verdict}, but its client took no replies for so long that the result was dropped. "
        "It ran: a retry is not safe if it has effects outside."
    )
    error = ErrorInfo("NotDelivered", message)
    return encode_reply(ResultReply(job_id, "lost", error=error, retry_safe=False))


def error_for(problem: ProtocolError, frames: list[memoryview]) -> ErrorReply:
    """The reply to frames that are no request."""
    code = "bad_request"
    if isinstance(problem, UnsupportedVersion):
        code = "unsupported_version"
    elif isinstance(problem, UnknownMessageType):
        code = "unknown_type"
    return ErrorReply(request_id_of(frames), code, str(problem)[:_MESSAGE_CHARS_MAX])

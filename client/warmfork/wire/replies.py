"""The messages from daemon to client, as frozen records. ``messages`` turns them into frames and back.

Of ``OutputReply`` any number may come before the result of a job that asked for them; of all others one answers a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from warmfork.results import Dropped, ErrorInfo, Usage, Verdict
from warmfork.wire.records import InputFile, TemplateInfo


class HelloReply(Struct, frozen=True):
    """Who the daemon is.

    Attributes:
        id: of the request.
        version: of the daemon's package.
        pid: of the daemon.
        templates: what requests may name, the default first.
        policies: what requests may name, the default first.
        limits: the daemon's limits by name, sizes in bytes and times in seconds.
        features: words for what this daemon can do beyond version 1's base; later versions add some.
        instance: names this daemon until it ends, for ``ExecuteRequest.resend``; empty from one that knows no resends.
    """

    id: bytes
    version: str
    pid: int
    templates: tuple[TemplateInfo, ...]
    policies: tuple[str, ...]
    limits: Mapping[str, float | int]
    features: tuple[str, ...] = ()
    instance: str = ""


class StatusReply(Struct, frozen=True):
    """How the daemon is.

    Attributes:
        id: of the request.
        status: plain nested data; ``docs/protocol.md`` lists what it has.
    """

    id: bytes
    status: Mapping[str, Any]


class CancelReply(Struct, frozen=True):
    """What ``cancel`` met.

    Attributes:
        id: of the request.
        outcome: the job was ``queued`` or ``running`` and is ended now (its own reply says ``cancelled``), or is
            ``unknown`` (never seen, of another user, or already answered).
    """

    id: bytes
    outcome: str


class ErrorReply(Struct, frozen=True):
    """The request was read as far as its id and not taken.

    Attributes:
        id: of the request; all zero where it could not be read.
        code: a stable word: ``bad_request``, ``unknown_type``, ``unsupported_version``, ``policy_not_allowed``,
            ``limit_not_allowed``, ``unknown_template``, ``duplicate_job``.
        message: a sentence for people.
    """

    id: bytes
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SignedChart:
    """One chart as it travels; fields as in ``results.Chart``."""

    data: bytes | memoryview = field(repr=False)
    media_type: str
    width_px: int
    height_px: int
    signature: bytes = field(repr=False)
    figure_number: int | None = None
    title: str = ""
    file_name: str | None = None


class StreamText(Struct, frozen=True):
    """What a bounded stream kept.

    Attributes:
        head: the first bytes.
        tail: the last bytes, empty when nothing was dropped.
        dropped: number of bytes cut out between them.
    """

    head: bytes = b""
    tail: bytes = b""
    dropped: int = 0


class ResultReply(Struct, frozen=True):
    """The one answer to one job; fields as in ``results.Result``."""

    id: bytes
    verdict: Verdict
    stdout: StreamText = StreamText()
    stderr: StreamText = StreamText()
    error: ErrorInfo | None = None
    charts: tuple[SignedChart, ...] = ()
    files: tuple[InputFile, ...] = ()
    usage: Usage = Usage()
    dropped: Dropped = Dropped()
    exit_code: int | None = None
    retry_after_s: float | None = None
    retry_safe: bool | None = None
    policy: str = ""
    guarded: bool = True
    queue_length: int | None = None


@dataclass(frozen=True, slots=True)
class OutputReply:
    """The next bytes that a running job wrote; the result repeats them all.

    Attributes:
        id: of the job.
        stream: ``stdout`` or ``stderr``.
        seq: number of this message among those of the job, from 0.
        offset: how many bytes of the stream came before these. A reader that has fewer has missed some, and gets them with
            the result.
        data: at least one byte; may begin and end within a character.
    """

    id: bytes
    stream: str
    seq: int
    offset: int
    data: bytes | memoryview = field(repr=False)


Reply = HelloReply | StatusReply | CancelReply | ErrorReply | ResultReply | OutputReply

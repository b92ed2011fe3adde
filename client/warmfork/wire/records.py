"""The messages between client and daemon, as records. ``messages`` turns them into frames and back.

Requests: ``HelloRequest``, ``ExecuteRequest``, ``CancelRequest``, ``StatusRequest``.
Replies: ``HelloReply``, ``ResultReply``, ``CancelReply``, ``StatusReply``, ``ErrorReply``; and ``OutputReply``, of which
any number may come before the result of a job that asked for them.
Every request carries an id of 16 bytes that its reply repeats; for ``execute`` it is the job's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from warmfork.results import Dropped, ErrorInfo, Usage, Verdict

Format = Literal["png", "svg", "pdf"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)

Policy = Literal["strict", "standard", "off"]
POLICIES: Final[tuple[str, ...]] = get_args(Policy)

MediaType = Literal["image/png", "image/svg+xml", "application/pdf", "image/jpeg"]
MEDIA_TYPES: Final[tuple[str, ...]] = get_args(MediaType)

TEMPLATE_DEFAULT: Final = "science"
"""The template of a request that names none."""

TemplateState = Literal["starting", "ready", "failed"]
TEMPLATE_STATES: Final[tuple[str, ...]] = get_args(TemplateState)

StreamName = Literal["stdout", "stderr"]
STREAM_NAMES: Final[tuple[str, ...]] = get_args(StreamName)

Priority = Literal["interactive", "batch"]
PRIORITIES: Final[tuple[str, ...]] = get_args(Priority)
"""The first is the default, and goes first."""

CancelOutcome = Literal["queued", "running", "unknown"]
CANCEL_OUTCOMES: Final[tuple[str, ...]] = get_args(CancelOutcome)


@dataclass(frozen=True, slots=True)
class HelloRequest:
    """Asks the daemon who it is."""

    id: bytes


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Asks the daemon how it is."""

    id: bytes


@dataclass(frozen=True, slots=True)
class ReloadRequest:
    """Asks the daemon to read its configuration anew; for its own user and root. A ``StatusReply`` says what changed."""

    id: bytes


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Asks the daemon to end a job of the same user.

    Attributes:
        id: of this request.
        job_id: of the job to end.
    """

    id: bytes
    job_id: bytes


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to be put into the job's working directory.

    Attributes:
        name: relative path; see ``names.check_file_name``.
        data: its bytes.
    """

    name: str
    data: bytes | memoryview = field(repr=False)


@dataclass(slots=True)
class ExecuteRequest:
    """One job.

    Attributes:
        id: the job's id, 16 random bytes chosen by the client.
        code: Python source, UTF-8.
        variables: packed by ``values.pack_variables``; None for none. The daemon does not look inside.
        stdin: what ``input()`` and ``sys.stdin`` read; None for none.
        files: put into the working directory before the code runs.
        timeout_s: from dispatch to the worker's report; None for the daemon's default.
        deadline_s: from submission, queue included; None for none.
        memory_bytes: headroom above the idle worker; None for the daemon's default.
        formats: of each open figure, in this order.
        policy, template: names; None for the daemon's default.
        rc: matplotlib settings applied before the code runs.
        redact: mask secrets in the reply's text; where it is False the daemon's configuration decides.
        stream: send output while the job runs, as ``OutputReply``.
        tenant: on whose behalf; subdivides what its owner gets. Empty for nobody's in particular.
        priority: ``interactive`` jobs of a tenant go before its ``batch`` ones.
        resend: with the ``instance`` of the daemon's hello that this job was sent to before on a connection that has ended;
            empty where it was not. Such a request is never a reason to run the job a second time.
        sent_s_ago: with ``resend``, seconds since it was first sent.
    """

    # Not frozen, as the others are, nor is ``ResultReply``: to fill a frozen one takes another 18 us in a process that has
    # just woken up. Nobody changes one all the same; ``dataclasses.replace`` makes another.
    id: bytes
    code: bytes | memoryview = field(repr=False)
    variables: bytes | memoryview | None = field(default=None, repr=False)
    stdin: bytes | memoryview | None = field(default=None, repr=False)
    files: tuple[InputFile, ...] = ()
    timeout_s: float | None = None
    deadline_s: float | None = None
    memory_bytes: int | None = None
    formats: tuple[str, ...] = ("png",)
    policy: str | None = None
    template: str | None = None
    rc: Mapping[str, Any] = field(default_factory=dict)
    redact: bool = False
    stream: bool = False
    tenant: str = ""
    priority: str = PRIORITIES[0]
    resend: str = ""
    sent_s_ago: float = 0.0


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """One module of a template's preload.

    Attributes:
        name: as imported.
        version: its ``__version__``, empty if it has none.
        import_s: seconds its import took.
        error: why it did not load; empty if it did.
    """

    name: str
    version: str
    import_s: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """One template of the daemon.

    Attributes:
        name: what a request calls it.
        python: version of its interpreter.
        libraries: what it preloaded.
        font: family that draws Chinese text, empty if there is none.
        state: ``starting``, ``ready``, or ``failed``: it ended before it was ready and is tried again and again. All
            but the name is empty unless it is ready.
    """

    name: str
    python: str
    libraries: tuple[LibraryInfo, ...] = ()
    font: str = ""
    state: str = "ready"


@dataclass(frozen=True, slots=True)
class HelloReply:
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


@dataclass(frozen=True, slots=True)
class StatusReply:
    """How the daemon is.

    Attributes:
        id: of the request.
        status: plain nested data; ``docs/protocol.md`` lists what it has.
    """

    id: bytes
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelReply:
    """What ``cancel`` met.

    Attributes:
        id: of the request.
        outcome: the job was ``queued`` or ``running`` and is ended now (its own reply says ``cancelled``), or is
            ``unknown`` (never seen, of another user, or already answered).
    """

    id: bytes
    outcome: str


@dataclass(frozen=True, slots=True)
class ErrorReply:
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


@dataclass(frozen=True, slots=True)
class StreamText:
    """What a bounded stream kept.

    Attributes:
        head: the first bytes.
        tail: the last bytes, empty when nothing was dropped.
        dropped: number of bytes cut out between them.
    """

    head: bytes = b""
    tail: bytes = b""
    dropped: int = 0


@dataclass(slots=True)
class ResultReply:
    """The one answer to one job; fields as in ``results.Result``."""

    id: bytes
    verdict: Verdict
    stdout: StreamText = StreamText()
    stderr: StreamText = StreamText()
    error: ErrorInfo | None = None
    charts: tuple[SignedChart, ...] = ()
    files: tuple[InputFile, ...] = ()
    usage: Usage = field(default_factory=Usage)
    dropped: Dropped = field(default_factory=Dropped)
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


Request = HelloRequest | StatusRequest | ReloadRequest | CancelRequest | ExecuteRequest
Reply = HelloReply | StatusReply | CancelReply | ErrorReply | ResultReply | OutputReply

"""The messages from client to daemon, as frozen records. ``messages`` turns them into frames and back.

Every one carries an id of 16 bytes that its reply repeats; for ``execute`` it is the job's id.

Like ``replies``, these are filled by native code: a frozen dataclass of as many fields takes 20 us more in a process that has
just woken up. Workers, which have no msgspec, know neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from warmfork.wire.records import PRIORITIES, InputFile


class HelloRequest(Struct, frozen=True):
    """Asks the daemon who it is."""

    id: bytes


class StatusRequest(Struct, frozen=True):
    """Asks the daemon how it is."""

    id: bytes


class ReloadRequest(Struct, frozen=True):
    """Asks the daemon to read its configuration anew; for its own user and root. A ``StatusReply`` says what changed."""

    id: bytes


class CancelRequest(Struct, frozen=True):
    """Asks the daemon to end a job of the same user.

    Attributes:
        id: of this request.
        job_id: of the job to end.
    """

    id: bytes
    job_id: bytes


class ExecuteRequest(Struct, frozen=True):
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

    id: bytes
    code: bytes | memoryview
    variables: bytes | memoryview | None = None
    stdin: bytes | memoryview | None = None
    files: tuple[InputFile, ...] = ()
    timeout_s: float | None = None
    deadline_s: float | None = None
    memory_bytes: int | None = None
    formats: tuple[str, ...] = ("png",)
    policy: str | None = None
    template: str | None = None
    rc: Mapping[str, Any] = {}
    redact: bool = False
    stream: bool = False
    tenant: str = ""
    priority: str = PRIORITIES[0]
    resend: str = ""
    sent_s_ago: float = 0.0

    def __repr__(self) -> str:
        """Names the job and shows nothing of what it holds."""
        return f"ExecuteRequest(id={self.id!r}, ...)"


Request = HelloRequest | StatusRequest | ReloadRequest | CancelRequest | ExecuteRequest

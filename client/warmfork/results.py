"""What a job gives back: ``Result`` and its parts, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

from warmfork.wire.numbers import Count, Seconds
from warmfork.wire.records import ErrorInfo

Verdict = Literal[
    "ok",
    "error",
    "timeout",
    "cpu_limit",
    "memory_limit",
    "disk_limit",
    "crashed",
    "cancelled",
    "rejected",
    "lost",
]

VERDICTS: Final[tuple[Verdict, ...]] = (
    "ok",
    "error",
    "timeout",
    "cpu_limit",
    "memory_limit",
    "disk_limit",
    "crashed",
    "cancelled",
    "rejected",
    "lost",
)

__all__ = ["NO_FILES", "PHASES", "VERDICTS", "Chart", "Dropped", "ErrorInfo", "Phases", "Result", "Usage", "Verdict"]

NO_FILES: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Chart:
    """One verified chart: a rendered figure or an image file that the code saved.

    Attributes:
        data: the exact bytes that the daemon signed.
        media_type: ``image/png``, ``image/svg+xml``, ``application/pdf`` or ``image/jpeg``.
        width_px, height_px: size in pixels; read from the header by the daemon for PNG and JPEG, the job's own word
            for SVG and PDF (at the figure's dpi).
        index: place in ``Result.charts``; part of what is signed.
        figure_number: matplotlib's number of the figure, None for a file no figure is known for.
        title: the figure's title as the job reports it: text from the job, at most 500 characters.
        file_name: path below the job's working directory when this is a file the code saved, else None.
        signature: HMAC-SHA256, 32 bytes; already verified when you hold the chart.
    """

    data: bytes = field(repr=False)
    media_type: str
    width_px: int
    height_px: int
    index: int = 0
    figure_number: int | None = None
    title: str = ""
    file_name: str | None = None
    signature: bytes = field(default=b"", repr=False)

    def save(self, path: str | Path) -> Path:
        """Write the chart's bytes to ``path`` and return it. Raises OSError as ``open`` does."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


class Phases(Struct, frozen=True, array_like=True):
    """Where a job's time went: seconds in each phase of its way, in order. Together they are the time from its
    admission until its result was put together; the way between client and daemon is in none of them.

    Within ``dispatched_s`` to ``reported_s``, which together are ``Usage.wall_s``, the split is the worker's word: it is
    checked against the daemon's clock and dropped as a whole where it cannot be. Without it (the job was killed, crashed,
    or said nonsense) all of that time is ``executed_s``. All are zero for a job that did not run.

    Attributes:
        queued_s: it waited in the daemon's queue; the same as ``Usage.queue_s``.
        dispatched_s: it was on its way to the worker, until that had read it.
        compiled_s: files, variables, settings and policy were put in place and the code was compiled.
        executed_s: the code ran, to the end of its threads and of what it had registered with atexit.
        rendered_s: its open figures were drawn.
        reported_s: the worker's report was on its way, until the daemon had read all of it.
        validated_s: the worker was ended where it had left files, these were collected, charts were looked at.
        signed_s: charts were signed.
        replied_s: the rest of the result was put together; redaction is in here.
    """

    queued_s: Seconds = 0.0
    dispatched_s: Seconds = 0.0
    compiled_s: Seconds = 0.0
    executed_s: Seconds = 0.0
    rendered_s: Seconds = 0.0
    reported_s: Seconds = 0.0
    validated_s: Seconds = 0.0
    signed_s: Seconds = 0.0
    replied_s: Seconds = 0.0


PHASES: Final = Phases.__struct_fields__
"""The names of the phases' fields, in order."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """What the job cost.

    Attributes:
        wall_s: seconds from dispatch to the worker's report (running and rendering).
        cpu_s: CPU seconds of the worker, user and system, from dispatch on.
        peak_memory_bytes: most memory of the job's own (anonymous and shared) above what the worker had when it stood idle.
            Where jobs have cgroups of their own, what the kernel charged to the job's, if that is more: copied pages
            and files in memory count too.
        queue_s: seconds between admission and dispatch.
        phases: where the time went; all zero from a daemon that does not tell.
    """

    wall_s: Seconds = 0.0
    cpu_s: Seconds = 0.0
    peak_memory_bytes: Count = 0
    queue_s: Seconds = 0.0
    phases: Phases = Phases()


class Dropped(Struct, frozen=True):
    """What the bounds cut away; all zero when nothing was.

    Attributes:
        stdout_bytes, stderr_bytes: bytes cut out of the middle of each stream.
        charts: charts that were over the number or size allowed.
        files: files left in the working directory that were over the number or size allowed, or not regular files.
    """

    stdout_bytes: Count = 0
    stderr_bytes: Count = 0
    charts: Count = 0
    files: Count = 0


_NO_USAGE: Final = Usage()
_NOTHING_DROPPED: Final = Dropped()


class Result(Struct, frozen=True):
    """The one answer to one ``execute``.

    Attributes:
        job_id: 32 hexadecimal digits chosen by the client.
        verdict: how the job ended; see ``docs/results.md``.
        stdout, stderr: text the job wrote (UTF-8, undecodable bytes replaced). Where the middle was cut out, a line
            says how many bytes were dropped.
        error: why the verdict is not ``ok``; None when it is.
        charts: every open figure and every image file saved in the working directory, in order.
        files: new and changed files of the working directory by relative path, images among them.
        usage, dropped: what it cost; what the bounds cut away.
        exit_code: the code given to ``sys.exit``, None where the job did not call it.
        retry_after_s: with ``rejected``, when to try again; else None.
        retry_safe: with ``rejected`` and ``lost``, whether the job certainly did not run; else None.
        queue_length: with ``rejected``, how many jobs waited then; else None.
        policy: the Python-level policy the job ran under; empty if it did not run.
        guarded: False from a daemon whose operator switched the kernel's guard off (``guard.unguarded``).
    """

    job_id: str
    verdict: Verdict
    stdout: str = ""
    stderr: str = ""
    error: ErrorInfo | None = None
    charts: tuple[Chart, ...] = ()
    files: Mapping[str, bytes] = NO_FILES
    usage: Usage = _NO_USAGE
    dropped: Dropped = _NOTHING_DROPPED
    exit_code: int | None = None
    retry_after_s: float | None = None
    retry_safe: bool | None = None
    policy: str = ""
    guarded: bool = True
    queue_length: int | None = None

    def __repr__(self) -> str:
        """All but the bytes of files."""
        shown = [f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "files"]
        return f"Result({', '.join(shown)}, files={sorted(self.files)!r})"

    @property
    def ok(self) -> bool:
        """True when the code ran to its end without an uncaught exception."""
        return self.verdict == "ok"

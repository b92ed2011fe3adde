"""What client, daemon and worker all speak of: words, files, errors, templates. As frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

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
class ErrorInfo:
    """Why a job's verdict is not ``ok``.

    Attributes:
        type: the exception's class name (``"ValueError"``), or the verdict's own word (``"Timeout"``, ``"MemoryLimit"`` …).
        message: the exception's text, or a sentence that says what happened, what became of the job and what to do.
        line: line of the submitted code, counted from 1, where the deepest user frame stood; None where there is none.
        traceback: Python's traceback, user frames only; empty where no exception ended the job.
    """

    type: str
    message: str
    line: int | None = None
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to be put into the job's working directory.

    Attributes:
        name: relative path; see ``names.check_file_name``.
        data: its bytes.
    """

    name: str
    data: bytes | memoryview = field(repr=False)


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

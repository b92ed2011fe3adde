"""Frames <-> records between daemon and worker: one order in, one report out.

The report is written by a process that has run hostile code: every field is bounded, and nothing in it is believed
about anything but the job itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from warmfork.errors import ProtocolError
from warmfork.wire import codec, limits
from warmfork.wire.frames import ORDER_HEADER_BYTES_MAX, check_sizes
from warmfork.wire.names import check_file_name
from warmfork.wire.records import ErrorInfo, InputFile

OutcomeWord = Literal["ok", "error", "memory_limit", "disk_limit"]

# The reply's header carries what the report's does and the names of the collected files, and signatures: half of the
# bound is the report's, so that no worker can make a reply that the daemon is unable to send.
REPORT_HEADER_BYTES_MAX: Final = limits.HEADER_BYTES_MAX // 2
_CHART_TEXT_BYTES_MAX: Final = 192 * limits.KIB  # titles and file names of all charts that an honest worker reports


@dataclass(slots=True)
class JobOrder:
    """What a worker is to do; fields as in ``requests.ExecuteRequest``, all decided.

    Attributes:
        charts_max, chart_bytes_max, charts_bytes_max: number of charts, size of each, size of all together.
        address_bytes: the process's whole address space (RLIMIT_AS); 0 leaves the worker's own.
        cpu_s: the process's whole CPU time in seconds (RLIMIT_CPU); 0 leaves the worker's own.
        memory_bytes: what the job may use before it is ended; 0 where that is not told.
    """

    # Not frozen, as a record would be: to fill a frozen one takes another 18 us in a process that has just woken up.
    code: bytes | memoryview = field(repr=False)
    variables: bytes | memoryview | None = field(repr=False)
    stdin: bytes | memoryview | None = field(repr=False)
    files: tuple[InputFile, ...]
    formats: tuple[str, ...]
    policy: str
    rc: Mapping[str, Any]
    charts_max: int
    chart_bytes_max: int
    charts_bytes_max: int
    address_bytes: int = 0
    cpu_s: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ReportedChart:
    """A chart as the worker reports it: rendered (``data``), or a file it saved for the daemon to collect (``file_name``)."""

    media_type: str
    width_px: int
    height_px: int
    figure_number: int | None
    title: str
    data: bytes | memoryview | None = field(default=None, repr=False)
    file_name: str | None = None


@dataclass(slots=True)
class JobReport:
    """What a worker says of its job.

    Attributes:
        outcome: ``ok``, ``error``, or an uncaught exception that stands for a limit (``memory_limit``, ``disk_limit``).
        error: the uncaught exception.
        exit_code: given to ``sys.exit``.
        charts: in figure order.
        charts_dropped: over the number or size allowed, or failed to render.
        times_s: when the worker had read the order, compiled, executed and rendered, by the machine's monotonic clock.
            Empty for anything but four numbers: a job can break the worker's clock, and that costs it the trace alone.
    """

    outcome: str
    error: ErrorInfo | None = None
    exit_code: int | None = None
    charts: tuple[ReportedChart, ...] = ()
    charts_dropped: int = 0
    times_s: tuple[float, ...] = ()


def encode_order(order: JobOrder, pack: Callable[[Any], bytes] = codec.pack) -> list[bytes | memoryview]:
    """The frames of an order: a packed list of ``_ORDER_TYPES``, then the code, variables, stdin and files that there are.

    Args:
        order: what is to be done.
        pack: writes the list as msgpack.
    """
    parts = [order.code]
    if order.variables is not None:
        parts.append(order.variables)
    if order.stdin is not None:
        parts.append(order.stdin)
    parts.extend(file.data for file in order.files)
    header = [
        list(order.formats),
        order.policy,
        dict(order.rc),
        order.charts_max,
        order.chart_bytes_max,
        order.charts_bytes_max,
        order.address_bytes,
        order.cpu_s,
        order.memory_bytes,
        order.variables is not None,
        order.stdin is not None,
        [file.name for file in order.files],
    ]
    frames = [pack(header), *parts]
    check_sizes(list(map(len, frames)), ORDER_HEADER_BYTES_MAX)
    return frames


_ORDER_TYPES: Final = [list, str, dict, int, int, int, int, int, int, bool, bool, list]


def decode_order(frames: Sequence[bytes | memoryview]) -> JobOrder:
    """The order that these frames are, or ProtocolError.

    It comes from the daemon, which has judged every field: here only its shape is looked at, with as few functions as can
    be, for each is pages that a worker's process must copy before it can run them.
    """
    try:
        header = codec.unpack_believed(frames[0])
    except Exception as problem:  # msgpack raises nearly anything for malformed data
        raise ProtocolError(f"not an order: {type(problem).__name__}") from None
    if type(header) is not list or list(map(type, header)) != _ORDER_TYPES:
        raise ProtocolError("not an order: its header is of another shape")
    (
        formats,
        policy,
        rc,
        charts,
        chart_bytes,
        charts_bytes,
        address_bytes,
        cpu_s,
        memory_bytes,
        varied,
        spoken,
        names,
    ) = header
    if len(frames) != 2 + varied + spoken + len(names):
        raise ProtocolError(f"not an order: {len(frames)} frames")
    files = tuple(map(_input_file, names, frames[2 + varied + spoken :])) if names else ()
    return JobOrder(
        frames[1],
        frames[2] if varied else None,
        frames[2 + varied] if spoken else None,
        files,
        tuple(formats),
        policy,
        rc,
        charts,
        chart_bytes,
        charts_bytes,
        address_bytes,
        cpu_s,
        memory_bytes,
    )


def _input_file(name: object, data: bytes | memoryview) -> InputFile:
    if type(name) is not str:
        raise ProtocolError("not an order: a file has no name")
    return InputFile(check_file_name(name), data)


# One for all, made where workers come from: each has a buffer that takes two system calls to get and to give back.
_pack_report: Final = codec.Packer().pack
_TIMES: Final = struct.Struct(">BdBdBdBd")
_TIMES_TOLD: Final = 4
_PLAIN: Final = ("ok", None, None, (), 0)
_NUMBER: Final = 0xCB
"""What msgpack puts before a number of 64 bits (float 64)."""


def encode_report(report: JobReport) -> list[bytes | memoryview]:
    """The frames of a report. Titles beyond 192 KiB together, and names of files beyond it, are left out."""
    said = (report.outcome, report.error, report.exit_code, report.charts, report.charts_dropped)
    if said == _PLAIN and len(report.times_s) == _TIMES_TOLD:
        try:
            return [_plain_report(*report.times_s)]
        except struct.error:  # a job can break the clock
            pass
    parts: list[dict[str, Any]] = []
    data: list[bytes | memoryview] = []
    text_bytes_left = _CHART_TEXT_BYTES_MAX
    for chart in report.charts:
        title = chart.title[: limits.TITLE_CHARS_MAX]
        name_bytes = len((chart.file_name or "").encode())
        if name_bytes > text_bytes_left:
            continue  # the daemon collects the file all the same
        if name_bytes + len(title.encode()) > text_bytes_left:
            title = ""
        text_bytes_left -= name_bytes + len(title.encode())
        info = {
            "kind": "chart",
            "media_type": chart.media_type,
            "width_px": chart.width_px,
            "height_px": chart.height_px,
            "figure_number": chart.figure_number,
            "title": title,
            "file_name": chart.file_name,
        }
        parts.append(info)
        data.append(b"" if chart.data is None else chart.data)
    return [_pack_report(_report_header(report, parts)), *data]  # not by ``headers.write``, which needs msgspec


def _report_header(report: JobReport, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What is too large in it is refused where it arrives."""
    error = report.error
    return {
        "v": limits.PROTOCOL_VERSION,
        "type": "report",
        "parts": parts,
        "outcome": report.outcome,
        "error": None
        if error is None
        else {"type": error.type, "message": error.message, "line": error.line, "traceback": error.traceback},
        "exit_code": report.exit_code,
        "charts_dropped": report.charts_dropped,
        "times_s": report.times_s,
    }


_PLAIN_REPORT: Final = bytes(_pack_report(_report_header(JobReport("ok", times_s=(0.0,) * 4), [])))[: -_TIMES.size]
"""Of what nearly every job reports, all but its times, which come last."""


def _plain_report(read_s: float, compiled_s: float, executed_s: float, rendered_s: float) -> bytes:
    return _PLAIN_REPORT + _TIMES.pack(_NUMBER, read_s, _NUMBER, compiled_s, _NUMBER, executed_s, _NUMBER, rendered_s)

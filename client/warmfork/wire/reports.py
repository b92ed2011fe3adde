"""The daemon's end of a report: frames that a process wrote which has run hostile code. Every field is bounded."""

from __future__ import annotations

from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.wire import headers, limits
from warmfork.wire.frames import Frames
from warmfork.wire.headers import about, kind_of
from warmfork.wire.jobs import REPORT_HEADER_BYTES_MAX, JobReport, ReportedChart
from warmfork.wire.messages import error_from
from warmfork.wire.names import check_file_name

_TIMES: Final = 4
_CLOCK_S_MAX: Final = 1e12


def decode_report(frames: Frames) -> JobReport:
    """The report that these frames are, or ProtocolError."""
    header = headers.read(frames, headers.reports, REPORT_HEADER_BYTES_MAX)
    charts = []
    for info, data in zip(header.parts, frames[1:], strict=True):
        if kind_of(info) == "chart":
            charts.append(_decode_chart(info, data))
    if len(charts) > limits.CHARTS_MAX:
        raise ProtocolError(f"{len(charts)} charts where at most {limits.CHARTS_MAX} are allowed")
    return JobReport(
        header.outcome,
        error_from(header.error),
        header.exit_code,
        tuple(charts),
        header.charts_dropped,
        _times_from(header.times_s),
    )


def _times_from(told: Any) -> tuple[float, ...]:
    if type(told) is not list or len(told) != _TIMES:
        return ()
    for time_s in told:
        if type(time_s) not in (int, float) or not 0 <= time_s <= _CLOCK_S_MAX:
            return ()
    return tuple(map(float, told))


def _decode_chart(info: dict[str, Any], data: bytes | memoryview) -> ReportedChart:
    told = about(info, headers.ChartInfo)
    named = told.file_name is not None
    return ReportedChart(
        told.media_type,
        told.width_px,
        told.height_px,
        told.figure_number,
        told.title,
        None if named else data,
        check_file_name(told.file_name) if told.file_name is not None else None,
    )

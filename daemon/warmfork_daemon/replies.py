"""Composing the reply to a job: charts validated and signed, files, output, usage."""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec.structs import replace

from warmfork.results import Dropped, Usage
from warmfork.wire import limits
from warmfork.wire.jobs import JobReport, ReportedChart
from warmfork.wire.records import InputFile
from warmfork.wire.replies import ResultReply, SignedChart
from warmfork.wire.signature import sign_chart
from warmfork_daemon import images
from warmfork_daemon.collector import Collected
from warmfork_daemon.config import LimitSettings
from warmfork_daemon.job import Job
from warmfork_daemon.phases import phases_of
from warmfork_daemon.reactor import monotonic_s
from warmfork_daemon.redacting import redacted
from warmfork_daemon.verdicts import Judgement
from warmfork_daemon.worker import Worker

__all__ = ["Collected", "compose_result"]


def compose_result(
    worker: Worker,
    job: Job,
    judgement: Judgement,
    report: JobReport | None,
    collected: Collected,
    ended_s: float,
    bounds: LimitSettings,
    key: bytes,
    *,
    redact: bool = False,
) -> ResultReply:
    """The reply to a job whose worker has ended or reported.

    Args:
        worker: with output drained and usage measured.
        job: whose reply this is.
        judgement: its verdict.
        report: the worker's, None when there is none.
        collected: the files of its working directory.
        ended_s: when the report came or the end was seen, by the monotonic clock.
        bounds: number and size of charts, size of the reply.
        key: signs each chart.
        redact: mask secrets in all text.
    """
    charts = _ChartList(job.request.id, bounds, key)
    files: tuple[InputFile, ...] = ()
    if report is not None and report.charts:
        for reported in report.charts:
            charts.add_reported(reported, collected.files)
    if collected.files:
        charts.add_other_images(collected.files)
        found = sorted(collected.files.items())
        files = tuple([InputFile(name, data) for name, data in found if name not in charts.file_names])
    looked_s = monotonic_s()
    stdout, stderr = worker.stdout.output.text(), worker.stderr.output.text()
    dropped_charts = charts.dropped + (report.charts_dropped if report else 0)

    def usage() -> Usage:
        told_s = report.times_s if report else ()
        return Usage(
            wall_s=max(0.0, ended_s - job.dispatched_s),
            cpu_s=worker.cpu_s,
            peak_memory_bytes=worker.peak_memory_bytes,
            queue_s=job.queue_s,
            phases=phases_of(job, told_s, ended_s, looked_s, charts.signing_s, monotonic_s()),
        )

    reply = ResultReply(
        id=job.request.id,
        verdict=judgement.verdict,
        stdout=stdout,
        stderr=stderr,
        error=judgement.error,
        charts=tuple(charts.signed),
        files=files,
        usage=usage(),
        dropped=Dropped(stdout.dropped, stderr.dropped, dropped_charts, collected.dropped),
        exit_code=judgement.exit_code,
        retry_safe=judgement.retry_safe,
        policy=job.policy,
    )
    return replace(redacted(reply), usage=usage()) if redact else reply


class _ChartList:
    """Charts in the order of the reply; the place in it is part of what is signed."""

    def __init__(self, job_id: bytes, bounds: LimitSettings, key: bytes) -> None:
        self._job_id = job_id
        self._bounds = bounds
        self._key = key
        self._bytes_left = bounds.reply_bytes_max
        self.signed: list[SignedChart] = []
        self.file_names: set[str] = set()
        self._judged: set[str] = set()
        self.dropped = 0
        self.signing_s = 0.0

    def add_reported(self, chart: ReportedChart, files: Mapping[str, bytes]) -> None:
        """A chart of the report: its bytes, or the file that the daemon collected under the name it gives."""
        if chart.file_name is None:
            assert chart.data is not None
            self._add(chart.media_type, chart.data, chart)
            return
        media_type = _media_type_of(chart.file_name)
        if chart.file_name in files and chart.file_name not in self.file_names and media_type is not None:
            self._add(media_type, files[chart.file_name], chart)

    def add_other_images(self, files: Mapping[str, bytes]) -> None:
        """Image files that no figure of the report is known for."""
        for name in sorted(files):
            media_type = _media_type_of(name)
            if media_type is not None and name not in self.file_names:
                self._add(media_type, files[name], ReportedChart(media_type, 0, 0, None, "", file_name=name))

    def _add(self, media_type: str, data: bytes | memoryview, told: ReportedChart) -> None:
        bounds = self._bounds
        if told.file_name is not None:
            if told.file_name in self._judged:
                return
            self._judged.add(told.file_name)
        size = images.measure(media_type, data) if len(data) <= bounds.chart_bytes_max else None
        if size is None or len(self.signed) >= bounds.charts_max or len(data) > self._bytes_left:
            # A file that is no chart by these rules still comes back as a file.
            self.dropped += 1 if told.file_name is None or size is not None else 0
            return
        index = len(self.signed)
        self._bytes_left -= len(data)
        if told.file_name is not None:
            self.file_names.add(told.file_name)
        begun_s = monotonic_s()
        signature = sign_chart(self._key, self._job_id, index, media_type, data)
        self.signing_s += monotonic_s() - begun_s
        self.signed.append(
            SignedChart(
                data=data,
                media_type=media_type,
                width_px=told.width_px if size.width_px is None else size.width_px,
                height_px=told.height_px if size.height_px is None else size.height_px,
                signature=signature,
                figure_number=told.figure_number,
                title=told.title[: limits.TITLE_CHARS_MAX],
                file_name=told.file_name,
            )
        )


def _media_type_of(name: str) -> str | None:
    return images.MEDIA_TYPE_BY_SUFFIX.get(os.path.splitext(name)[1].lower())

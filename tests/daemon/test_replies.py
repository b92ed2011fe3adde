"""The reply to a job: which images become charts, in which order, signed for which place, and what is counted."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from warmfork.results import Dropped, ErrorInfo, Phases, Usage
from warmfork.wire import limits
from warmfork.wire.jobs import JobReport, ReportedChart
from warmfork.wire.messages import decode_reply, encode_reply
from warmfork.wire.records import InputFile
from warmfork.wire.replies import ResultReply, StreamText
from warmfork.wire.requests import ExecuteRequest
from warmfork.wire.signature import chart_is_authentic
from warmfork_daemon.collector import Collected
from warmfork_daemon.config import LimitSettings
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.output import BoundedOutput
from warmfork_daemon.replies import compose_result
from warmfork_daemon.verdicts import Judgement
from warmfork_daemon.worker import Worker

KEY = bytes(range(32))
JOB_ID = bytes(range(16))
OK = Judgement("ok")
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
PDF = b"%PDF-1.4\n"


def png_of(width_px: int, height_px: int = 1, padding: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk + bytes(40 + padding)


def rendered(data: bytes, media_type: str = "image/png", **told: Any) -> ReportedChart:
    return dataclasses.replace(ReportedChart(media_type, 11, 22, 1, "title", data), **told)


def saved(name: str, **told: Any) -> ReportedChart:
    return dataclasses.replace(ReportedChart("image/png", 11, 22, 1, "title", file_name=name), **told)


def composed(
    *charts: ReportedChart,
    files: dict[str, bytes] | None = None,
    charts_dropped: int = 0,
    files_dropped: int = 0,
    judgement: Judgement = OK,
    report: JobReport | None = None,
    stdout: bytes = b"",
    stderr: bytes = b"",
    ended_s: float = 14.0,
    dispatched_s: float = 12.0,
    redact: bool = False,
    **bounds: int,
) -> ResultReply:
    out, err = BoundedOutput(10), BoundedOutput(10)
    out.add(stdout)
    err.add(stderr)
    worker = SimpleNamespace(
        stdout=SimpleNamespace(output=out), stderr=SimpleNamespace(output=err), cpu_s=1.5, peak_memory_bytes=99
    )
    job = Job(ExecuteRequest(JOB_ID, b""), Peer(0, b"r", 1, 1), "standard", 1.0, 1, 0, 11.0, 99.0, dispatched_s)
    return compose_result(
        cast(Worker, worker),
        job,
        judgement,
        report or JobReport("ok", charts=charts, charts_dropped=charts_dropped),
        Collected(files or {}, files_dropped),
        ended_s,
        dataclasses.replace(LimitSettings(), **bounds),
        KEY,
        redact=redact,
    )


def names(reply: ResultReply) -> list[str | None]:
    return [chart.file_name for chart in reply.charts]


def widths(reply: ResultReply) -> list[int]:
    return [chart.width_px for chart in reply.charts]


def check_signatures(reply: ResultReply) -> None:
    for index, chart in enumerate(reply.charts):
        for place in range(len(reply.charts)):
            authentic = chart_is_authentic(KEY, JOB_ID, place, chart.media_type, chart.data, chart.signature)
            assert (index == place) == authentic


def test_facts_of_the_job() -> None:
    """Verdict, error, exit code, usage, output and policy are the job's own."""
    error = ErrorInfo("ValueError", "no", 3, "tb")
    judgement = Judgement("error", error, 3, None)
    reply = composed(judgement=judgement, stdout=b"out", stderr=b"0123456789ABC", files_dropped=4)
    assert (JOB_ID, "error", error, 3, None, "standard") == (
        reply.id,
        reply.verdict,
        reply.error,
        reply.exit_code,
        reply.retry_safe,
        reply.policy,
    )
    usage = structs.replace(reply.usage, phases=Phases())
    assert Usage(wall_s=2.0, cpu_s=1.5, peak_memory_bytes=99, queue_s=1.0) == usage
    assert (StreamText(b"out"), StreamText(b"01234", b"89ABC", 3)) == (reply.stdout, reply.stderr)
    assert Dropped(0, 3, 0, 4) == reply.dropped
    assert reply == decode_reply(encode_reply(reply))


@pytest.mark.parametrize("redact", [False, True])
def test_phases_of_the_reply(redact: bool) -> None:
    """The worker's own times are in the usage, signing has its share, and redaction is part of the last phase."""
    report = JobReport("ok", charts=(rendered(png_of(1)),), times_s=(12.25, 12.5, 13.0, 13.5))
    phases = composed(report=report, redact=redact).usage.phases
    assert (1.0, 0.25, 0.25, 0.5, 0.5, 0.5) == (
        *(phases.queued_s, phases.dispatched_s, phases.compiled_s),
        *(phases.executed_s, phases.rendered_s, phases.reported_s),
    )
    assert min(phases.validated_s, phases.signed_s, phases.replied_s) > 0
    assert 0 == composed(redact=redact).usage.phases.signed_s


def test_times_never_run_backwards() -> None:
    """A job that was answered before it was dispatched took no time."""
    assert (0.0, 1.0) == (composed(ended_s=5.0).usage.wall_s, composed().usage.queue_s)
    assert 0.0 == composed(dispatched_s=0.0).usage.queue_s


def test_without_a_report_image_files_are_charts() -> None:
    """A killed job's saved images come back, in order of name, its other files as files."""
    reply = compose_result(
        cast(
            Worker,
            SimpleNamespace(
                stdout=SimpleNamespace(output=BoundedOutput(1)),
                stderr=SimpleNamespace(output=BoundedOutput(1)),
                cpu_s=0.0,
                peak_memory_bytes=0,
            ),
        ),
        Job(ExecuteRequest(JOB_ID, b""), Peer(0, b"r", 1, 1), "strict", 1.0, 1, 0, 0.0, 1.0),
        Judgement("timeout", ErrorInfo("Timeout", "")),
        None,
        Collected({"b.png": png_of(2), "data.csv": b"1", "a.png": png_of(1)}),
        1.0,
        LimitSettings(),
        KEY,
    )
    assert ["a.png", "b.png"] == names(reply)
    assert (InputFile("data.csv", b"1"),) == reply.files
    check_signatures(reply)


def test_reported_charts_come_first_and_in_their_order() -> None:
    """Figures in the order of the report, saved ones in their place among them, other images after, by name."""
    files = {"z.png": png_of(26), "fig.png": png_of(2), "b.svg": SVG}
    reply = composed(rendered(png_of(1)), saved("fig.png"), rendered(png_of(3)), files=files)
    assert [None, "fig.png", None, "b.svg", "z.png"] == names(reply)
    assert [1, 2, 3, 0, 26] == widths(reply)
    assert () == reply.files
    check_signatures(reply)


def test_each_chart_is_signed_for_its_place_media_type_and_bytes() -> None:
    """No chart of a reply verifies at another's place, as another type, or for another job."""
    reply = composed(rendered(png_of(1)), rendered(png_of(1)), rendered(PDF, "application/pdf"))
    assert 3 == len({chart.signature for chart in reply.charts})
    check_signatures(reply)
    chart = reply.charts[2]
    assert not chart_is_authentic(KEY, JOB_ID, 2, "image/png", chart.data, chart.signature)
    assert not chart_is_authentic(KEY, bytes(16), 2, chart.media_type, chart.data, chart.signature)


def test_places_have_no_gaps() -> None:
    """A chart that is dropped takes no place; the next one is signed for it."""
    reply = composed(rendered(b"no image"), rendered(png_of(7)))
    assert ([7], 1) == (widths(reply), reply.dropped.charts)
    check_signatures(reply)


def test_the_header_beats_the_report() -> None:
    """PNG and JPEG sizes are read from the bytes; SVG and PDF have none, so the report's word stands."""
    reply = composed(
        rendered(png_of(640, 480), width_px=1, height_px=1),
        rendered(SVG, "image/svg+xml", width_px=300, height_px=200),
        rendered(PDF, "application/pdf", width_px=30, height_px=20),
    )
    assert [(640, 480), (300, 200), (30, 20)] == [(chart.width_px, chart.height_px) for chart in reply.charts]


def test_what_the_report_tells_of_a_figure_goes_along() -> None:
    """Figure number and title are the report's, for rendered and for saved figures; other images have none."""
    files = {"s.png": png_of(2), "x.png": png_of(3)}
    reply = composed(
        rendered(png_of(1), figure_number=5, title="five"), saved("s.png", figure_number=6, title="six"), files=files
    )
    assert [(5, "five"), (6, "six"), (None, "")] == [(chart.figure_number, chart.title) for chart in reply.charts]


def test_titles_are_bounded() -> None:
    """A title of any length is cut to what may travel."""
    reply = composed(rendered(png_of(1), title="图" * 10_000))
    assert "图" * limits.TITLE_CHARS_MAX == reply.charts[0].title
    assert reply == decode_reply(encode_reply(reply))


@pytest.mark.parametrize(
    ("media_type", "data"),
    [("image/png", b""), ("image/png", SVG), ("image/svg+xml", PDF), ("image/jpeg", png_of(1)), ("text/html", SVG)],
)
def test_a_rendered_chart_that_is_none_is_dropped(media_type: str, data: bytes) -> None:
    """Bytes that are not of their media type are neither chart nor file; they are counted."""
    reply = composed(rendered(data, media_type))
    assert ((), (), 1) == (reply.charts, reply.files, reply.dropped.charts)


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.png", png_of(1), "image/png"),
        ("a.PNG", png_of(1), "image/png"),
        ("dir.d/a.b.Svg", SVG, "image/svg+xml"),
        ("a.pdf", PDF, "application/pdf"),
        ("a.png", PDF, None),
        ("a.jpg", png_of(1), None),
        ("a.gif", b"GIF89a", None),
        ("png", png_of(1), None),
        (".png", png_of(1), None),
        ("a.png.txt", png_of(1), None),
        ("d.png/a", png_of(1), None),
    ],
)
def test_a_saved_file_is_a_chart_by_suffix_and_bytes(name: str, data: bytes, media_type: str | None) -> None:
    """Suffix (in any case) and magic must agree; otherwise the file comes back as a file and nothing is dropped."""
    reply = composed(files={name: data})
    assert ([media_type] if media_type else []) == [chart.media_type for chart in reply.charts]
    assert ((InputFile(name, data),) if media_type is None else ()) == reply.files
    assert Dropped() == reply.dropped


def test_the_media_type_of_a_saved_figure_is_its_suffix() -> None:
    """What the report says of it does not count."""
    reply = composed(saved("a.svg", media_type="image/png"), files={"a.svg": SVG})
    assert ["image/svg+xml"] == [chart.media_type for chart in reply.charts]


def test_a_reported_file_that_is_not_there_is_nothing() -> None:
    """A report can name files that were never collected; the collector has counted those it saw."""
    reply = composed(saved("gone.png"), saved("../../etc/passwd"), saved("notes.txt"), files={"notes.txt": b"x"})
    assert ((), (InputFile("notes.txt", b"x"),), 0) == (reply.charts, reply.files, reply.dropped.charts)


def test_a_file_reported_twice_comes_once() -> None:
    """Two figures saved under one name are one file, so one chart."""
    reply = composed(saved("a.png"), saved("a.png", figure_number=2), files={"a.png": png_of(1)})
    assert (["a.png"], (), 0) == (names(reply), reply.files, reply.dropped.charts)


def test_the_number_of_charts_is_bounded() -> None:
    """The first ones come; rendered ones beyond are dropped and counted."""
    reply = composed(*(rendered(png_of(width)) for width in range(1, 6)), charts_max=3)
    assert ([1, 2, 3], 2) == (widths(reply), reply.dropped.charts)


@pytest.mark.parametrize("reported", [True, False])
def test_image_files_over_the_number_come_back_as_files_and_count_once(reported: bool) -> None:
    """Each image beyond the bound is one dropped chart, no matter who named it, and its bytes are not lost."""
    files = {"a.png": png_of(1), "b.png": png_of(2), "c.png": png_of(3)}
    charts = [saved(name) for name in files] if reported else []
    reply = composed(*charts, files=files, charts_max=1)
    assert (["a.png"], ["b.png", "c.png"]) == (names(reply), [file.name for file in reply.files])
    assert 2 == reply.dropped.charts


def test_no_charts_allowed() -> None:
    """With charts_max 0 every chart is dropped and image files are files."""
    reply = composed(rendered(png_of(1)), files={"a.png": png_of(2)}, charts_max=0)
    assert ((), ["a.png"], 2) == (reply.charts, [file.name for file in reply.files], reply.dropped.charts)


def test_the_size_of_a_chart_is_bounded() -> None:
    """A rendered chart over its bound is dropped, an image file over it is a file; at the bound both are charts."""
    fits, over = png_of(1, padding=100), png_of(1, padding=101)
    files = {"fits.png": fits, "over.png": over}
    reply = composed(rendered(fits), rendered(over), files=files, chart_bytes_max=len(fits))
    assert [None, "fits.png"] == names(reply)
    assert ((InputFile("over.png", over),), 1) == (reply.files, reply.dropped.charts)


def test_the_size_of_all_charts_is_bounded() -> None:
    """Charts are taken while they fit together; a smaller one after a bigger one may still."""
    big, small = png_of(1, padding=1_000), png_of(2)
    reply = composed(
        rendered(big), rendered(big), rendered(small), files={"z.png": big}, reply_bytes_max=len(big) + len(small)
    )
    assert ([1, 2], 2, ["z.png"]) == (widths(reply), reply.dropped.charts, [file.name for file in reply.files])


def test_what_the_worker_dropped_is_added() -> None:
    """Charts that the worker itself left out count together with the daemon's own."""
    assert 6 == composed(rendered(b"none"), charts_dropped=5).dropped.charts


def test_views_are_taken_as_they_are() -> None:
    """Charts of a report are views of what came in; they are signed as their bytes."""
    data = png_of(9)
    reply = composed(rendered(cast(bytes, memoryview(data))))
    assert ([9], data) == (widths(reply), bytes(reply.charts[0].data))
    check_signatures(reply)


_images = st.sampled_from([png_of(1), png_of(2, padding=50), SVG, PDF, b"none", b""])
_names = st.sampled_from(["a.png", "b.png", "c.svg", "d.pdf", "e.txt", "f.jpg"])
_charts = st.lists(
    st.one_of(
        st.builds(rendered, _images, st.sampled_from(["image/png", "image/svg+xml", "application/pdf"])),
        st.builds(saved, _names),
    ),
    max_size=8,
)


@given(
    charts=_charts,
    files=st.dictionaries(_names, _images, max_size=6),
    charts_max=st.integers(0, 6),
    chart_bytes_max=st.integers(0, 150),
    reply_bytes_max=st.integers(0, 400),
)
def test_nothing_is_lost_or_doubled(
    charts: list[ReportedChart], files: dict[str, bytes], charts_max: int, chart_bytes_max: int, reply_bytes_max: int
) -> None:
    """Invariant: each collected file comes back exactly once, bounds hold, signatures verify, counts add up."""
    reply = composed(
        *charts,
        files=files,
        charts_max=charts_max,
        chart_bytes_max=chart_bytes_max,
        reply_bytes_max=reply_bytes_max,
    )
    back = [(file.name, bytes(file.data)) for file in reply.files]
    back += [(chart.file_name, bytes(chart.data)) for chart in reply.charts if chart.file_name is not None]
    assert sorted(files.items()) == sorted(back)
    assert len(reply.charts) <= charts_max
    assert all(len(chart.data) <= chart_bytes_max for chart in reply.charts)
    assert sum(len(chart.data) for chart in reply.charts) <= reply_bytes_max
    check_signatures(reply)
    rendered_in = sum(chart.file_name is None for chart in charts)
    rendered_out = sum(chart.file_name is None for chart in reply.charts)
    assert rendered_in - rendered_out <= reply.dropped.charts <= rendered_in - rendered_out + len(reply.files)

"""Turns the figures that a job left open into charts, and tells which files it saved are charts already."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from warmfork_worker.image_sizes import size_px
from warmfork_worker.png import ChartFile
from warmfork_worker.saved_figures import MEDIA_TYPES, SavedFigure, figure_title, saved_files

_SHRINKS_AT_MOST: Final = 2
"""How many times as large as matplotlib's our PNG can be: 1.1 times as a rule, twice where most of it is flat."""


@dataclass(frozen=True, slots=True)
class RenderedChart:
    """One chart.

    Attributes:
        figure_number: pyplot's number; None for a figure outside pyplot or closed since it was saved.
        title: the figure's title, at most 500 characters.
        media_type: ``image/png``, ``image/svg+xml``, ``application/pdf`` or ``image/jpeg``.
        width_px, height_px: size in pixels, of SVG and PDF at the figure's dpi; 0 where unknown.
        data: the rendered bytes; None when ``file_name`` is set: the daemon takes that file itself.
        file_name: path of the file below the working directory that shows this figure, else None.
    """

    figure_number: int | None
    title: str
    media_type: str
    width_px: int
    height_px: int
    data: bytes | None = field(repr=False)
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class Rendering:
    """All charts of a job.

    Attributes:
        charts: open figures by number, each in the formats asked for; then files that show figures closed or changed
            since, and further files of the same figures, in the order they were saved.
        dropped: charts of open figures that are not here: over the number, over the size, or failed. Saved files are
            never counted: the one who collects them counts those.
        problems: one sentence for each figure that could not be rendered, and for each warning while rendering.
    """

    charts: tuple[RenderedChart, ...] = ()
    dropped: int = 0
    problems: tuple[str, ...] = ()


_NO_FIGURES: Final = Rendering()


def render_open_figures(
    formats: Sequence[str], *, work_dir: str, charts_max: int, chart_bytes_max: int, total_bytes_max: int
) -> Rendering:
    """Render every open figure, or name the file it was saved to and is unchanged since.

    Args:
        formats: ``png``, ``svg``, ``pdf``, in the order wanted. A figure saved as JPEG counts as its PNG.
        work_dir: the job's directory; files saved elsewhere count as not saved.
        charts_max: most charts returned; what is past it is not rendered.
        chart_bytes_max, total_bytes_max: bounds on the bytes of one and of all rendered charts together.

    Never raises: what fails is told in ``problems``. Nothing is written to disk. Empty where matplotlib is not loaded.
    """
    if "matplotlib.figure" not in sys.modules and "matplotlib._pylab_helpers" not in sys.modules:
        return _NO_FIGURES
    collector = _Collector(os.path.realpath(work_dir), charts_max, chart_bytes_max, total_bytes_max)
    try:
        figures = _open_figures()
        files = saved_files() if "matplotlib.figure" in sys.modules else ()
        if not (figures or files):
            return _NO_FIGURES
        below = [saved for saved in files if saved.path.startswith(collector.work_dir + os.sep)]
        for number, figure in figures:
            collector.add_figure(number, figure, formats, [saved for saved in below if saved.shows(figure)])
        collector.add_files(below, [figure for _, figure in figures])
    except BaseException as error:  # The job may have broken anything in this process; what there is still counts.
        collector.problems.append(f"The figures could not be listed: {_told(error)}")
    return Rendering(tuple(collector.charts), collector.dropped, tuple(dict.fromkeys(collector.problems)))


def _open_figures() -> list[tuple[int, Any]]:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None:
        return []
    managers = dict(helpers.Gcf.figs)
    return [(number, managers[number].canvas.figure) for number in sorted(managers)]


@dataclass(slots=True)
class _Collector:
    work_dir: str
    charts_max: int
    chart_bytes_max: int
    total_bytes_max: int
    charts: list[RenderedChart] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    dropped: int = 0
    total_bytes: int = 0
    listed: set[str] = field(default_factory=set)

    def add_figure(self, number: int, figure: Any, formats: Sequence[str], files: Sequence[SavedFigure]) -> None:
        saved = {file.format: file for file in files}
        for kind in formats:
            file = saved.get(kind) or (saved.get("jpeg") if kind == "png" else None)
            if len(self.charts) >= self.charts_max:
                self.dropped += 1
            elif file is not None:
                self._add_file(file, file.figure_number)
            else:
                self._add_rendered(number, figure, kind)

    def add_files(self, files: Sequence[SavedFigure], still_open: Sequence[Any]) -> None:
        for file in files:
            if file.path not in self.listed and len(self.charts) < self.charts_max:
                is_open = any(file.figure() is figure for figure in still_open)
                self._add_file(file, file.figure_number if is_open else None)

    def _add_file(self, file: SavedFigure, number: int | None) -> None:
        media_type = MEDIA_TYPES[file.format]
        width, height = size_px(_beginning(file.path), media_type, file.dpi)
        name = os.path.relpath(file.path, self.work_dir)
        self.charts.append(RenderedChart(number, file.title, media_type, width, height, None, name))
        self.listed.add(file.path)

    def _add_rendered(self, number: int, figure: Any, kind: str) -> None:
        try:
            with _warnings_told(f"Figure {number}", self.problems):
                data = _render(figure, kind, ChartFile())
                if kind == "png" and self._room_bytes() < len(data) <= _SHRINKS_AT_MOST * self._room_bytes():
                    data = _render(figure, kind, io.BytesIO())  # matplotlib's own compression is dearer and better
            media_type = MEDIA_TYPES[kind]
            width, height = size_px(data, media_type, _dpi(figure))
            chart = RenderedChart(number, figure_title(figure), media_type, width, height, data)
        except BaseException as error:  # SystemExit from an artist of the job's own is no reason to lose the others.
            self.dropped += 1
            self.problems.append(f"Figure {number} could not be rendered: {_told(error)}")
            return
        if len(data) > self._room_bytes():
            self.dropped += 1
            return
        self.charts.append(chart)
        self.total_bytes += len(data)

    def _room_bytes(self) -> int:
        return min(self.chart_bytes_max, self.total_bytes_max - self.total_bytes)


def _render(figure: Any, kind: str, buffer: io.BytesIO) -> bytes:
    figure.savefig(buffer, format=kind, bbox_inches="tight")
    return buffer.getvalue()


def _dpi(figure: Any) -> float:
    dpi = sys.modules["matplotlib"].rcParams["savefig.dpi"]
    return float(figure.dpi if dpi == "figure" else dpi)


def _beginning(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


@contextmanager
def _warnings_told(whose: str, problems: list[str]) -> Iterator[None]:
    """Collect warnings as sentences: printed, they would point into this module. The job's own filters hold, except
    that a filter which makes warnings errors does not cost it the chart."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filters[:] = [rule for rule in warnings.filters if rule[0] != "error"]  # type: ignore[index]
        yield
    problems += [f"{whose} was rendered with a warning: {warning.message}" for warning in caught[:5]]


def _told(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # An exception class of the job's own, with a __str__ that fails.
        text = ""
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__

"""The shortcuts draw what matplotlib draws: same pixels, same warnings, same calls of the job's own code."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import axis, font_manager
from matplotlib.backends import backend_agg
from matplotlib.dates import AutoDateFormatter
from matplotlib.patheffects import Normal
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, ScalarFormatter
from PIL import Image

from warmfork_worker import png, text_layout, tick_passes
from warmfork_worker.png import ChartFile

PATCHED = (
    (Text, "_get_layout"),
    (backend_agg.RendererAgg, "get_text_width_height_descent"),
    (backend_agg.FigureCanvasAgg, "_print_pil"),
    *((axis.Axis, name) for name in ("_update_ticks", "_get_ticklabel_bboxes", "get_tightbbox", "draw")),
)


@contextlib.contextmanager
def shortcuts() -> Iterator[None]:
    """The shortcuts are on within, and matplotlib is as it was afterwards."""
    manager: Any = font_manager.fontManager
    before = [(owner, name, owner.__dict__[name]) for owner, name in PATCHED]
    own = dict(vars(manager))
    assert (True, True, True) == (text_layout.keep_layouts(), tick_passes.find_ticks_once(), png.write_charts_fast())
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        vars(manager).clear()
        vars(manager).update(own)


@pytest.fixture(autouse=True)
def _agg() -> Iterator[None]:
    mpl.use("Agg")
    plt.close("all")
    with mpl.rc_context():
        yield
    plt.close("all")


def picture(draw: Callable[[], Any], file: io.BytesIO | None = None) -> Image.Image:
    file = io.BytesIO() if file is None else file
    figure = draw()
    figure.savefig(file, format="png", bbox_inches="tight")
    plt.close(figure)
    with Image.open(file) as opened:
        opened.load()
        return opened


def lines_and_bars() -> Any:
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
    left.plot([1, 2, 3], [0.001, 0.002, 0.0015], label="one\ntwo lines")
    left.legend(title="legend")
    left.set_title("Title")
    left.annotate("note", (2, 0.002), (1, 0.001), arrowprops={"arrowstyle": "->"}, bbox={"boxstyle": "round"})
    right.bar(["a", "b"], [3e6, 7e6])
    right.tick_params(axis="x", rotation=40)
    right.set_ylabel(r"$\alpha^2$ und mehr", rotation=70)
    figure.suptitle("all of it", fontweight="bold")
    figure.align_labels()
    return figure


def drawn_twice() -> Any:
    """Drawn, changed in every respect that a layout knows, drawn again: nothing of the first drawing may be left."""
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    text = axes.set_title("title")
    label = axes.set_xlabel("label")
    figure.canvas.draw()
    axes.set_ylim(-1000, 5000)
    axes.locator_params(axis="x", nbins=3)
    text.set(fontsize=20, rotation=10, ha="left", linespacing=3, text="two\nlines")
    label.get_fontproperties()
    label.set_fontfamily("monospace")
    mpl.rcParams["font.sans-serif"] = ["DejaVu Serif"]
    figure.set_dpi(130)
    return figure


def twins_and_insets() -> Any:
    figure, axes = plt.subplots()
    axes.semilogy([1, 2, 3], [1, 100, 1000])
    twin = axes.twinx()
    twin.plot([1, 2, 3], [1e9, 2e9, 3e9])
    twin.set_ylabel("right")
    axes.inset_axes((0.5, 0.2, 0.3, 0.3)).plot([1, 2])
    axes.secondary_xaxis("top").set_xlabel("above")
    axes.set_title("above all")
    return figure


def polar_and_space() -> Any:
    figure = plt.figure(layout="constrained")
    figure.add_subplot(121, projection="polar").plot([0, 1, 2], [1, 2, 1])
    figure.add_subplot(122, projection="3d").plot([1, 2], [1, 2], [1, 2])
    return figure


@pytest.mark.parametrize("draw", [lines_and_bars, drawn_twice, twins_and_insets, polar_and_space])
def test_same_pixels(draw: Callable[[], Any]) -> None:
    """A chart has the same pixels and the same metadata with the shortcuts as without."""
    with mpl.rc_context():
        plain = picture(draw)
    with shortcuts(), mpl.rc_context():
        quick = picture(draw, ChartFile())
    assert (plain.mode, plain.info) == (quick.mode, quick.info)
    assert np.array_equal(np.asarray(plain), np.asarray(quick))


def test_texts_are_laid_out_once() -> None:
    """Of a text in one renderer only the first layout is worked out; a changed one is worked out anew."""
    figure = plt.figure()
    text = figure.text(0.1, 0.1, "word")
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # Agg's
    with shortcuts():
        first = text.get_window_extent(renderer)
        assert 1 == len(renderer._warmfork_layouts)
        assert first.bounds == text.get_window_extent(renderer).bounds
        assert 1 == len(renderer._warmfork_layouts)
        text.set_fontsize(30)
        assert first.width < text.get_window_extent(renderer).width
        assert 2 == len(renderer._warmfork_layouts)
        first_box = text._get_layout(renderer)[0]  # type: ignore[attr-defined]
        first_box.x0 = -1e6  # whoever asks may change what he gets
        assert first_box.x0 < text._get_layout(renderer)[0].x0  # type: ignore[attr-defined]


def test_own_formatters_are_asked_as_often() -> None:
    """A formatter of the job's own is called as often as ever; one of matplotlib's less often."""

    def calls_of(formatter_class: Any) -> int:
        calls = 0
        figure, axes = plt.subplots()
        own = formatter_class is FuncFormatter
        formatter: Any = FuncFormatter(lambda value, _: str(value)) if own else ScalarFormatter()
        original = formatter.format_ticks

        def counted(values: Any) -> Any:
            nonlocal calls
            calls += 1
            return original(values)

        formatter.format_ticks = counted
        axes.yaxis.set_major_formatter(formatter)
        picture(lambda: figure)
        return calls

    plain = [calls_of(kind) for kind in (FuncFormatter, ScalarFormatter)]
    with shortcuts():
        quick = [calls_of(kind) for kind in (FuncFormatter, ScalarFormatter)]
    assert plain[0] == quick[0]
    assert plain[1] > quick[1]


class _Restless(Text):
    """A tick label that changes the others' size while it is drawn."""

    def draw(self, renderer: Any) -> None:
        super().draw(renderer)
        _change(self)


class _RestlessEffect(Normal):
    def __init__(self, label: Text) -> None:
        super().__init__()
        self.label = label

    def draw_path(self, *args: Any, **kwargs: Any) -> None:
        super().draw_path(*args, **kwargs)
        _change(self.label)


def _change(label: Text) -> None:
    axis = cast(Any, label.figure).axes[0].xaxis
    size = 40 if axis.get_major_ticks()[1].label1.get_fontsize() < 20 else 10
    for tick in axis.get_major_ticks()[1:]:
        tick.label1.set_fontsize(size)


def _become(label: Text) -> None:
    label.__class__ = _Restless


def _filter(label: Text) -> None:
    def filtered(image: Any, dpi: float) -> Any:
        _change(label)
        return image, 0, 0

    label.set_agg_filter(filtered)


@pytest.mark.parametrize(
    "spoil",
    [_become, lambda label: label.set_path_effects([_RestlessEffect(label)]), _filter],
    ids=["class", "effect", "filter"],
)
def test_what_a_tick_changes_while_it_is_drawn(spoil: Callable[[Text], None]) -> None:
    """Where the job's own code draws a tick, the axis' label is placed by what the ticks are afterwards, as ever."""

    def draw() -> Any:
        figure, axes = plt.subplots()
        axes.plot([1, 2, 3])
        axes.set_xticks([0, 1, 2])
        axes.set_xlabel("label")
        spoil(axes.xaxis.get_major_ticks()[0].label1)
        return figure

    with mpl.rc_context():
        plain = picture(draw)
    with shortcuts(), mpl.rc_context():
        quick = picture(draw)
    assert plain.size == quick.size
    assert np.array_equal(np.asarray(plain), np.asarray(quick))


def test_own_date_formats_are_asked_as_often() -> None:
    """A callable among an AutoDateFormatter's formats is called as often as ever."""

    def calls() -> int:
        times = 0

        def counted(value: Any, position: Any = None) -> str:
            nonlocal times
            times += 1
            return "x"

        figure, axes = plt.subplots()
        axes.plot(np.arange("2024-01-01", "2024-01-06", dtype="datetime64[D]"), range(5))
        make: Any = AutoDateFormatter
        formatter = make(axes.xaxis.get_major_locator())
        formatter.scaled = dict.fromkeys(formatter.scaled, counted)
        axes.xaxis.set_major_formatter(formatter)
        picture(lambda: figure)
        return times

    plain = calls()
    with shortcuts():
        assert plain == calls()
    assert plain > 0


def test_missing_glyphs_and_families_are_told_as_often(caplog: pytest.LogCaptureFixture) -> None:
    """Warnings of a missing glyph, and log lines of a missing family, are as many as without the shortcuts."""

    def told() -> tuple[int, int]:
        caplog.clear()
        with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
            warnings.simplefilter("always")
            figure = plt.figure()
            figure.text(0.1, 0.1, "\N{EGYPTIAN HIEROGLYPH A001}")
            figure.text(0.1, 0.5, "word", family=["No Such Font", "DejaVu Sans"])
            picture(lambda: figure)
        return len(caught), len(caplog.records)

    told()  # each family's search warns once more the first time
    plain = told()
    with shortcuts():
        assert plain == told()
    assert plain > (1, 1)


def test_an_added_font_is_found() -> None:
    """A font that is added after texts were drawn in another's place is used from then on."""
    source = font_manager.findfont("DejaVu Serif")

    def width() -> float:
        figure = plt.figure()
        text = figure.text(0, 0, "wide words", family="sans-serif")
        return float(text.get_window_extent().width)

    with shortcuts(), mpl.rc_context():
        mpl.rcParams["font.sans-serif"] = ["DejaVu Sans"]
        width()
        mpl.rcParams["font.sans-serif"].insert(0, "Added")  # a list that is changed in place counts as well
        before = width()
        entry = font_manager.FontEntry(fname=str(source), name="Added", weight=400, size="scalable")
        font_manager.fontManager.ttflist.append(entry)
        font_manager.fontManager._findfont_cached.cache_clear()  # type: ignore[attr-defined]  # as addfont does
        try:
            assert before != width()
        finally:
            font_manager.fontManager.ttflist.remove(entry)


def test_own_files_are_written_as_ever() -> None:
    """What the job saves itself is compressed by matplotlib as ever."""
    plain, quick = io.BytesIO(), io.BytesIO()
    picture(lines_and_bars, plain)
    with shortcuts():
        picture(lines_and_bars, quick)
    assert plain.getvalue() == quick.getvalue()


def test_png_is_well_formed() -> None:
    """The file has the chunks that matplotlib's has, in their order, each with its checksum."""
    plain, quick = io.BytesIO(), ChartFile()
    picture(lines_and_bars, plain)
    with shortcuts():
        picture(lines_and_bars, quick)
    assert list(dict.fromkeys(chunks(plain.getvalue()))) == chunks(quick.getvalue())
    assert len(quick.getvalue()) < 1.5 * len(plain.getvalue())


def chunks(data: bytes) -> list[bytes]:
    names, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert zlib.crc32(name + body) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
        names.append(name)
        at += 12 + size
    return names

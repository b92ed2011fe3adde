"""Open figures become charts; files that show them, or figures closed or changed since, are named."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from warmfork_worker import saved_figures
from warmfork_worker.figures import Rendering, render_open_figures

PNG, SVG, PDF, JPEG = "image/png", "image/svg+xml", "application/pdf", "image/jpeg"


@pytest.fixture(autouse=True)
def _watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    original = Figure.savefig, Figure.draw
    mpl.use("Agg")
    plt.close("all")
    monkeypatch.chdir(tmp_path)
    saved_figures.forget_saves()
    with mpl.rc_context():
        saved_figures.watch_saves()
        yield
    plt.close("all")
    saved_figures.forget_saves()
    Figure.savefig, Figure.draw = original  # type: ignore[method-assign]  # the wrappers go with the test


def render(*formats: str, charts: int = 50, chart_bytes: int = 1 << 24, total: int = 1 << 26) -> Rendering:
    work_dir = str(Path.cwd())
    return render_open_figures(
        formats or ("png",), work_dir=work_dir, charts_max=charts, chart_bytes_max=chart_bytes, total_bytes_max=total
    )


def outline(rendering: Rendering) -> list[tuple[int | None, str, str, str | None]]:
    return [(chart.figure_number, chart.title, chart.media_type, chart.file_name) for chart in rendering.charts]


def line(title: str = "T", number: int | None = None) -> tuple[Any, Any]:
    figure = plt.figure(number)
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], label="l")
    axes.set_title(title)
    return figure, axes


def test_no_figure_no_chart() -> None:
    """Without open figures and saved files there is nothing, and nothing was dropped."""
    assert Rendering() == render("png", "svg")


def test_figures_come_by_number_each_in_the_formats_asked() -> None:
    """Charts are ordered by figure number, not by time, then by the formats in the order asked."""
    line("seven", 7)
    line("two", 2)
    wanted = [(n, t, m, None) for n, t in ((2, "two"), (7, "seven")) for m in (PDF, PNG, SVG)]
    rendering = render("pdf", "png", "svg")
    assert wanted == outline(rendering)
    starts = [chart.data[:5] for chart in rendering.charts[:3] if chart.data is not None]
    assert [b"%PDF-", b"\x89PNG\r", b"<?xml"] == starts


def test_the_picture_is_what_a_tight_savefig_gives() -> None:
    """The PNG is, byte for byte, what savefig with a tight box writes under the job's own rcParams."""
    plt.rcParams["savefig.facecolor"] = "yellow"
    plt.rcParams["figure.dpi"] = 60
    figure, _ = line()
    expected = io.BytesIO()
    figure.savefig(expected, bbox_inches="tight")
    assert expected.getvalue() == render().charts[0].data


def test_sizes_of_all_formats_are_the_same_pixels() -> None:
    """Width and height are read from the PNG, and SVG and PDF count at the figure's dpi, within the rounding."""
    line()
    png, svg, pdf = render("png", "svg", "pdf").charts
    assert png.data is not None
    assert struct.unpack(">II", png.data[16:24]) == (png.width_px, png.height_px)
    for other in (svg, pdf):
        assert abs(other.width_px - png.width_px) <= 3
        assert abs(other.height_px - png.height_px) <= 3


def test_title_is_the_suptitle_else_the_first_axes_else_empty() -> None:
    """The figure's own title wins, then the first axes', left and right titles too, capped at 500 characters."""
    line("axes")[0].suptitle("whole")
    line("x" * 600)
    plt.figure().add_subplot().set_title("left", loc="left")
    plt.figure()
    assert ["whole", "x" * 500, "left", ""] == [chart.title for chart in render().charts]


def test_charts_past_the_number_are_counted_and_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past charts_max nothing is rendered any more, and each missing chart counts."""
    for number in range(3):
        line(str(number))
    drawn: list[Any] = []
    original = Figure.savefig

    def savefig(self: Any, *args: Any, **kwargs: Any) -> None:
        drawn.append(self)
        original(self, *args, **kwargs)

    with monkeypatch.context() as patching:
        patching.setattr(Figure, "savefig", savefig)
        rendering = render("png", "svg", charts=3)
    assert (3, 3, 3) == (len(rendering.charts), rendering.dropped, len(drawn))


def test_a_chart_too_large_is_counted_and_smaller_ones_come() -> None:
    """One chart over the size bound is dropped and counted; the figures after it still come."""
    plt.figure(figsize=(30, 30)).add_subplot()
    line("small")
    size = len(render().charts[1].data or b"")
    rendering = render(chart_bytes=size)
    assert (["small"], 1) == ([chart.title for chart in rendering.charts], rendering.dropped)


def test_the_total_is_bounded() -> None:
    """Rendered charts together stay below the total."""
    line("a")
    line("b")
    size = len(render().charts[0].data or b"")
    rendering = render(total=size + 10)
    assert (["a"], 1) == ([chart.title for chart in rendering.charts], rendering.dropped)


@pytest.mark.parametrize(("part", "again"), [(0.02, False), (0.9, True)])
def test_what_cannot_fit_is_drawn_once(part: float, again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart over the bounds is rendered again, by matplotlib's better compression, only where that can make it fit."""
    times = 0
    original = Figure.savefig

    def counted(self: Figure, *args: Any, **kwargs: Any) -> None:
        nonlocal times
        times += 1
        original(self, *args, **kwargs)

    line()
    [whole] = render().charts
    monkeypatch.setattr(Figure, "savefig", counted)
    assert whole.data is not None
    render(total=int(part * len(whole.data)))
    assert (2 if again else 1) == times


def test_a_figure_that_cannot_be_rendered_costs_only_itself() -> None:
    """Bad mathtext becomes one sentence and a dropped chart per format; the other figures come."""
    line(r"$\frac{1$")
    line("good")
    rendering = render("png", "svg")
    assert (["good", "good"], 2) == ([chart.title for chart in rendering.charts], rendering.dropped)
    assert all("Figure 1 could not be rendered: ValueError: " in problem for problem in rendering.problems)


@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), MemoryError("no room"), RecursionError()])
def test_whatever_an_artist_raises_stays_inside(raised: BaseException) -> None:
    """Nothing that drawing raises leaves the function."""
    _, axes = line("broken")
    line("good")

    def draw(renderer: object) -> None:
        raise raised

    axes.lines[0].draw = draw
    rendering = render()
    assert (["good"], 1, 1) == ([c.title for c in rendering.charts], rendering.dropped, len(rendering.problems))
    assert type(raised).__name__ in rendering.problems[0]


def test_a_warning_while_rendering_is_told_and_costs_nothing() -> None:
    """A missing glyph is told as a sentence, printed nowhere, also where the job made warnings errors."""
    line("\U000f1234")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("default", append=True)
        rendering = render()
    assert (1, 0) == (len(rendering.charts), rendering.dropped)
    assert any("Glyph 987700" in problem for problem in rendering.problems)


def test_a_broken_pyplot_is_told() -> None:
    """A job that broke pyplot's list of figures gets a sentence, not an exception."""
    helpers = sys.modules["matplotlib._pylab_helpers"].Gcf
    figs = helpers.figs
    helpers.figs = None
    try:
        rendering = render()
    finally:
        helpers.figs = figs
    assert 1 == len(rendering.problems)


def test_an_unchanged_figure_comes_once_as_its_file() -> None:
    """A figure saved and left alone is its file, with number, title and size, and no bytes."""
    Path("out").mkdir()
    line("saved")
    plt.savefig("out/a.png", dpi=50)
    chart, *rest = render().charts
    assert (1, "saved", PNG, "out/a.png", None) == (
        chart.figure_number, chart.title, chart.media_type, chart.file_name, chart.data
    )  # fmt: skip
    assert ((320, 240), []) == ((chart.width_px, chart.height_px), rest)


def test_other_formats_of_a_saved_figure_are_rendered() -> None:
    """Formats that were not saved are rendered, in the order asked; a saved one that was not asked comes after."""
    line("f")
    plt.savefig("a.png")
    plt.savefig("a.pdf")
    expected = [(1, "f", SVG, None), (1, "f", PNG, "a.png"), (1, "f", PDF, "a.pdf")]
    assert expected == outline(render("svg", "png"))


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.JPG"])
def test_a_saved_jpeg_satisfies_png(name: str) -> None:
    """A figure saved as JPEG is not rendered as PNG again."""
    line("f")
    plt.savefig(name)
    chart = render().charts[0]
    assert [(1, "f", JPEG, name)] == outline(render())
    assert (640, 480) == (chart.width_px, chart.height_px)


def test_all_names_of_one_figure_come() -> None:
    """A figure saved under two names is both files and is not rendered."""
    line("f")
    plt.savefig("a.png")
    plt.savefig("b.png")
    assert {"a.png", "b.png"} == {name for *_, name in outline(render())}


def test_closed_figures_keep_their_title_and_no_number() -> None:
    """Files of figures closed since come after the open ones, with the title they had when saved.

    pyplot gives the number of a closed figure to the next one, so the number would name two figures.
    """
    for title in ("first", "second"):
        line(title)
        plt.savefig(f"{title}.svg")
        plt.close()
    line("open", 5)
    expected = [(5, "open", PNG, None), (None, "first", SVG, "first.svg"), (None, "second", SVG, "second.svg")]
    assert expected == outline(render())
    assert all(chart.width_px > 0 for chart in render().charts)


def test_a_changed_figure_is_rendered_and_its_file_comes_too() -> None:
    """A figure changed after it was saved is a chart of its own beside its file, each with its own title."""
    _, axes = line("before")
    plt.savefig("a.png")
    axes.set_title("after")
    assert [(1, "after", PNG, None), (1, "before", PNG, "a.png")] == outline(render())


def test_a_change_that_was_drawn_since_is_still_a_change() -> None:
    """Drawing the canvas, or saving into memory, does not make a changed figure look unchanged."""
    ways: list[Callable[[Any], Any]] = [lambda f: f.canvas.draw(), lambda f: f.savefig(io.BytesIO())]
    for number, again in enumerate(ways):
        figure, axes = line("f")
        figure.savefig(f"{number}.png")
        axes.plot([3, 2, 1])
        again(figure)
    rendered = [file_name for *_, file_name in outline(render())]
    assert [None, None, "0.png", "1.png"] == rendered


def test_looking_at_a_figure_does_not_change_it() -> None:
    """Drawing, saving into memory, showing or asking for the axes leaves a saved figure unchanged."""
    figure, axes = line("f")
    figure.savefig("a.png", bbox_inches="tight", transparent=True, dpi=200, facecolor="red")
    figure.canvas.draw()
    figure.savefig(io.BytesIO(), dpi=10)
    plt.savefig("a.svg")
    assert "f" == axes.get_title() == plt.gca().get_title()
    assert "a.png" == render().charts[0].file_name


CHANGES = [
    "ax.set_title('x')", "ax.title.set_color('red')", "ax.xaxis.label.set_size(30)", "ax.plot([1, 2])",
    "ax.lines[0].set_color('k')", "ax.lines[0].set_data([1, 2], [5, 6])", "ax.lines[0].remove()",
    "ax.texts[0].set_text('q')", "im.set_cmap('jet')", "im.set_clim(0, 9)", "im.norm.vmax = 9",
    "plt.sci(im); plt.set_cmap('hot')",
    "im.set_data([[1, 2], [3, 4]])", "ax.remove()", "fig.set_size_inches(3, 3)", "fig.set_dpi(50)",
    "fig.tight_layout()", "fig.subplots_adjust(left=.3)", "fig.set_facecolor('red')", "fig.patch.set_facecolor('red')",
    "fig.suptitle('x')", "ax.set_facecolor('red')", "ax.patch.set_facecolor('red')",
    "ax.spines['top'].set_visible(False)", "ax.spines['left'].set_position('zero')", "ax.grid(True)",
    "ax.tick_params(axis='x', rotation=45)", "ax.set_xscale('log')", "ax.xaxis.set_major_formatter('{x} q')",
    "ax.set_xticks([0, 1])", "[t.set_rotation(45) for t in ax.get_xticklabels()]", "ax.get_legend().remove()",
    "ax.get_legend().get_frame().set_facecolor('red')", "ax.get_legend().get_texts()[0].set_text('u')", "ax.twinx()",
    "fig.colorbar(im)", "ax.invert_yaxis()", "ax.set_xlim(0, .5)", "ax.axis('off')", "ax.set_visible(False)",
    "fig.text(.5, .5, 'q')", "ax.annotate('q', (0, 0))", "fig.clf()", "ax.cla()", "ax.containers[0].remove()",
    "ax.patches[0].set_height(9)", "ax.patches[0].set_hatch('/')", "ax.collections[0].set_offsets([[0, 0], [5, 5]])",
    "ax.collections[0].set_sizes([99])", "fig.add_subplot(2, 2, 4)", "fig.add_axes((0, 0, .1, .1))", "fig.legend()",
    "ax.texts[1].xy = (2, 2)", "ax.texts[1].arrow_patch.set_color('red')",
    "ax.texts[0].get_bbox_patch().set_facecolor('red')", "[g.set_color('r') for g in ax.get_xgridlines()]",
    "[t.set_markeredgecolor('r') for t in ax.get_xticklines()]", "ax.margins(.5)",
    "fig.set_layout_engine('constrained')", "ax.set_position((0, 0, .5, .5))",
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_change_is_seen(change: str) -> None:
    """After this statement a saved figure no longer counts as saved."""
    fig, ax = plt.subplots()
    ax.plot([1, 2, 3], label="l")
    ax.bar([0, 1], [2, 3])
    ax.scatter([0, 1], [1, 2])
    im = ax.imshow([[0, 1], [2, 3]])
    ax.text(0, 0, "t", bbox={})
    ax.annotate("n", (0, 0), (1, 1), arrowprops={})
    ax.legend()
    ax.grid(True)
    fig.savefig("a.png")
    (saved,) = saved_figures.saved_files()
    assert saved.shows(fig)
    exec(change, {"fig": fig, "ax": ax, "im": im, "plt": plt})
    assert not saved.shows(fig)


def test_one_file_for_many_figures_shows_the_last() -> None:
    """A file that the next figure overwrote counts for that one alone."""
    line("one")
    plt.savefig("same.png")
    line("two")
    plt.savefig("same.png")
    assert [(1, "one", PNG, None), (2, "two", PNG, "same.png")] == outline(render())


def test_a_file_overwritten_or_removed_by_other_means_counts_no_more() -> None:
    """A file that something else wrote to since is nobody's picture here, and a deleted one is none."""
    line("one")
    plt.savefig("a.png")
    line("two")
    plt.savefig("b.png")
    Path("a.png").write_bytes(b"something else")
    Path("b.png").unlink()
    assert [(1, "one", PNG, None), (2, "two", PNG, None)] == outline(render())


def test_files_elsewhere_and_file_objects_are_not_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was saved outside the working directory, or into an open file, leaves the figure to be rendered."""
    line("f")
    plt.savefig(tmp_path_factory.mktemp("elsewhere") / "a.png")
    with open("b.png", "wb") as file:
        plt.savefig(file)
    plt.savefig(io.BytesIO())
    assert [(1, "f", PNG, None)] == outline(render())


def test_names_without_a_suffix_and_given_formats() -> None:
    """The format is what was asked for, and a name without a suffix gets matplotlib's default one."""
    line("one")
    plt.savefig("plain")
    line("two")
    plt.savefig(Path("odd.bin"), format="svg")
    expected = [(1, "one", PNG, "plain.png"), (2, "two", PNG, None), (2, "two", SVG, "odd.bin")]
    assert expected == outline(render())


def test_imsave_makes_no_figure() -> None:
    """An image saved without a figure is no entry here: whoever collects files finds it."""
    plt.imsave("a.png", [[0.0, 1.0]])
    assert Rendering() == render()


def test_a_figure_outside_pyplot_is_known_by_its_file() -> None:
    """A Figure made without pyplot has no number and comes as its file only."""
    figure = Figure()
    figure.add_subplot().set_title("free")
    figure.savefig("free.png")
    assert [(None, "free", PNG, "free.png")] == outline(render())


def test_saved_files_are_listed_up_to_the_number_and_not_counted() -> None:
    """Files past charts_max are left to whoever collects files, who counts them."""
    for number in range(3):
        line(str(number))
        plt.savefig(f"{number}.png")
        plt.close()
    rendering = render(charts=2)
    assert (["0.png", "1.png"], 0) == ([c.file_name for c in rendering.charts], rendering.dropped)


def test_warnings_of_savefig_name_the_callers_line() -> None:
    """A warning while saving points at the job's code, not at the wrapper."""
    line("\U000f1234")
    with pytest.warns(UserWarning, match="missing from") as caught:
        plt.savefig("a.png")
    assert {__file__} == {warning.filename for warning in caught}


def test_savefig_looks_like_itself_and_returns_what_it_did() -> None:
    """The wrapper keeps name, signature and documentation, and is not applied twice."""
    before = Figure.savefig
    saved_figures.watch_saves()
    assert (before, "savefig", "Figure.savefig") == (Figure.savefig, before.__name__, before.__qualname__)


def test_rendering_writes_no_file() -> None:
    """Rendering all formats opens no file for writing."""
    code = (
        "import sys, matplotlib\n"
        "matplotlib.use('Agg')\n"
        "import matplotlib.pyplot as plt\n"
        "from warmfork_worker.figures import render_open_figures\n"
        "plt.plot([1, 2]); plt.title('x $m^2$')\n"
        "def hook(event, args):\n"
        "    if event == 'open' and set(str(args[1])) & set('wax+'): raise PermissionError(args)\n"
        "sys.addaudithook(hook)\n"
        "r = render_open_figures(['png', 'svg', 'pdf'], work_dir='/nonexistent', charts_max=9,"
        " chart_bytes_max=1 << 30, total_bytes_max=1 << 30)\n"
        "print(len(r.charts), r.dropped, r.problems)\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "HOME": str(Path.cwd()), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "3 0 ()" == done.stdout.strip()

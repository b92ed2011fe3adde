"""Chinese text on a machine without Chinese fonts, and Latin text as if nothing had been installed."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.font_manager as fm
import matplotlib.pyplot as plt
import numpy as np
import pytest

from warmfork_worker import font_faces, fonts
from warmfork_worker.font_names import SANS_NAMES, SERIF_NAMES
from warmfork_worker.fonts import FontReport, install_fonts

PACKAGE_SANS, PACKAGE_SERIF = fonts._package_files()
CHINESE = "中文销售额，"
TRADITIONAL_AND_JAPANESE = "國際銷售あア"
mathtext: Any = import_module("matplotlib._mathtext")
manager: Any = fm.fontManager
private: Any = fm


@pytest.fixture(autouse=True)
def _plain_matplotlib() -> Iterator[None]:
    """Every test starts from, and leaves, a font manager that knows the fonts inside matplotlib alone."""
    mpl.use("Agg")
    plt.close("all")
    attributes, entries = dict(vars(manager)), list(manager.ttflist)
    patched = mathtext.UnicodeFonts._get_glyph, private._get_font
    own = os.path.realpath(mpl.get_data_path())
    manager.ttflist[:] = [entry for entry in entries if entry.fname.startswith(own)]
    _forget_measured_texts()
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
    plt.close("all")
    vars(manager).clear()
    vars(manager).update(attributes)
    manager.ttflist[:] = entries
    mathtext.UnicodeFonts._get_glyph, private._get_font = patched
    _forget_measured_texts()


def _forget_measured_texts() -> None:
    # Sizes of texts are cached by their properties, which do not say what fonts were installed.
    manager._findfont_cached.cache_clear()
    for owner in (import_module("matplotlib.text"), import_module("matplotlib.mathtext").MathTextParser):
        for value in vars(owner).values():
            clear = getattr(value, "cache_clear", None)
            if clear is not None:
                clear()


def picture(draw: Callable[[Any], Any], size: tuple[float, float] = (3, 2)) -> Any:
    """The pixels of a figure after ``draw(figure)``."""
    figure = plt.figure(figsize=size)
    draw(figure)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba()).copy()  # type: ignore[attr-defined]  # Agg's canvas has it
    plt.close(figure)
    return pixels


def glyph(character: str, family: str | None = None) -> bytes:
    """The pixels of one character."""
    kwargs = {} if family is None else {"family": family}
    pixels = picture(lambda figure: figure.text(0.1, 0.1, character, fontsize=24, **kwargs), (0.5, 0.5))
    return bytes(pixels.tobytes())


def told(draw: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> list[str]:
    """All that matplotlib warns of during ``draw``, through either channel."""
    caplog.clear()
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # Of libraries among themselves, which jobs never see.
        draw()
    return [str(warning.message) for warning in caught] + [record.getMessage() for record in caplog.records]


def boxes(characters: str) -> dict[str, bytes]:
    """What each character looks like when no font has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {character: glyph(character) for character in characters}


def test_the_package_font_is_found_and_reported() -> None:
    """Without an operator's font the package's font is taken, and the usual names lead to it."""
    report = install_fonts(["/nonexistent"])
    assert ("Noto Sans SC", PACKAGE_SANS, "package", ()) == (report.family, report.path, report.source, report.problems)
    assert {"SimHei", "Microsoft YaHei", "SimSun", "PingFang SC"} <= set(report.aliases)


def test_without_the_font_chinese_is_boxes_and_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """What the tests below rule out does happen in plain matplotlib: one box for all characters, and warnings."""
    assert 1 == len(set(boxes("中文").values()))
    assert any("missing from" in text for text in told(lambda: glyph("中"), caplog))
    assert any("not found" in text for text in told(lambda: glyph("a", "SimHei"), caplog))
    plain = told(lambda: picture(lambda figure: figure.text(0, 0.5, "面积 ($m^2$)")), caplog)
    assert any("does not have a glyph" in text for text in plain)


def test_every_name_shows_every_character(caplog: pytest.LogCaptureFixture) -> None:
    """By each of the names, each character has its own shape, which is not the missing-glyph box, and nothing warns."""
    missing = boxes(CHINESE + TRADITIONAL_AND_JAPANESE)
    install_fonts([])
    _forget_measured_texts()
    for name in (*SANS_NAMES, *SERIF_NAMES, "DejaVu Sans", "sans-serif", "serif", "monospace"):
        seen: dict[str, bytes] = {}
        problems = told(lambda name=name, seen=seen: seen.update({c: glyph(c, name) for c in missing}), caplog)  # type: ignore[misc]
        assert [] == problems, name
        assert len(missing) == len(set(seen.values())), name
        assert [] == [character for character in missing if seen[character] == missing[character]], name


def test_serif_names_lead_to_a_serif_font() -> None:
    """SimSun and its like look different from SimHei and its like."""
    install_fonts([])
    assert glyph("销", "SimSun") != glyph("销", "SimHei")
    assert (PACKAGE_SANS, PACKAGE_SERIF) == (fm.findfont("simhei"), fm.findfont("SimSun"))


@pytest.mark.parametrize("name", ["SimHei", "Microsoft YaHei", "SimSun", "KaiTi", "PingFang SC", None])
def test_minus_signs_are_intact(name: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """Negative tick labels, linear and logarithmic, have their minus sign by each name, and nothing warns."""
    install_fonts([])
    if name is not None:
        mpl.rcParams["font.sans-serif"] = [name]

    def draw(figure: Any) -> None:
        linear, log = figure.subplots(1, 2)
        linear.plot([-2, -1], [-5, 5])
        log.loglog([1e-3, 1e-1], [1e-3, 1e-1])

    assert [] == told(lambda: picture(draw), caplog)
    kwargs = {} if name is None else {"family": name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert glyph("\u2212", **kwargs) not in (glyph(" ", **kwargs), glyph("\U000f1234", **kwargs))
    assert mpl.rcParams["axes.unicode_minus"] is True


SETTINGS: dict[str, Callable[[], Any]] = {
    "default": lambda: None,
    "serif": lambda: mpl.rcParams.update({"font.family": "serif"}),
    "monospace": lambda: mpl.rcParams.update({"font.family": "monospace"}),
    "one family": lambda: mpl.rcParams.update({"font.family": "DejaVu Serif"}),
    "a list": lambda: mpl.rcParams.update({"font.sans-serif": ["SimHei", "DejaVu Sans"], "axes.unicode_minus": False}),
    "by family": lambda: mpl.rcParams.update({"font.family": ["Microsoft YaHei", "sans-serif"]}),
    "seaborn": lambda: import_module("seaborn").set_theme(font="SimHei"),
    "seaborn's own fonts": lambda: import_module("seaborn").set_theme(),
    "a style": lambda: plt.style.use("ggplot"),
    "mathtext cm": lambda: mpl.rcParams.update({"mathtext.fontset": "cm"}),
    "mathtext stix": lambda: mpl.rcParams.update({"mathtext.fontset": "stix"}),
    "mathtext dejavuserif": lambda: mpl.rcParams.update({"mathtext.fontset": "dejavuserif"}),
    "mathtext custom": lambda: mpl.rcParams.update({"mathtext.fontset": "custom", "mathtext.fallback": "None"}),
}


def _chart(figure: Any) -> None:
    axes = figure.subplots()
    axes.plot(["一月", "二月"], [-1, 1], label="销售额")
    axes.set_title("年度趋势 2024", fontweight="bold")
    axes.set_xlabel("面积 ($m^2$)，温度 $\\alpha$ (℃)", style="italic")
    axes.set_ylabel("$\\mathrm{面积} = \\mathbf{长} \\times 宽_{米}$")
    axes.annotate("注释\n第二行", (0, 0), (0.5, 0.5), family="serif")
    axes.legend(title="图例")


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_chinese_chart_warns_of_nothing(setting: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A chart with Chinese everywhere, mathtext included, comes without a warning under every setting and format."""
    install_fonts([])
    SETTINGS[setting]()
    figure, buffer = plt.figure(), io.BytesIO()
    _chart(figure)
    problems = told(lambda: figure.savefig(buffer, format=kind, bbox_inches="tight"), caplog)
    # The custom mathtext fonts include a cursive one that matplotlib misses on its own, Chinese or not.
    assert [] == [text for text in problems if "cursive" not in text]
    if kind != "png":
        assert (True, False) == (b"NotoSansSC" in buffer.getvalue(), b"LastResort" in buffer.getvalue())


def test_chinese_in_mathtext_has_its_own_shapes() -> None:
    """Inside and beside a formula a character is drawn as it is outside of one, not as a dummy."""
    install_fonts([])
    formulas = ["面 $x$", "积 $x$", "$面$", "$积$", "$x_面$", "¤ $x$", "$¤$"]
    assert len(formulas) == len({glyph(formula) for formula in formulas})


LATIN: dict[str, Callable[[Any], Any]] = {
    "titles and legend": lambda figure: (
        figure.suptitle("Whole figure", fontweight="bold"),
        (axes := figure.subplots()).plot([-1, 0, 1], label="label Ag"),
        axes.set(title="Title, gjpq", xlabel="x", ylabel="µ ± σ"),
        axes.legend(title="legend"),
    ),
    "mathtext": lambda figure: figure.text(0.1, 0.5, r"area $\frac{m^2}{\alpha}$ and $\sum_i \mathcal{L}_i$ Ω"),
    "families": lambda figure: [
        figure.text(0.1, y / 5, "Sphinx of quartz 0123", family=family, style="italic")
        for y, family in enumerate(["serif", "monospace", "DejaVu Sans", "sans-serif"])
    ],
    "annotation": lambda figure: figure.subplots().annotate("two\nlines", (0, 0), (0.5, 0.5), arrowprops={}),
    "log ticks": lambda figure: figure.subplots().loglog([1e-3, 1e3], [1, 10]),
    "seaborn": lambda figure: import_module("seaborn").heatmap([[-0.1, 2]], annot=True, ax=figure.subplots()),
}


@pytest.mark.parametrize("kind", LATIN)
def test_latin_text_is_pixel_for_pixel_matplotlibs_own(kind: str) -> None:
    """Charts without Chinese do not change in a single pixel."""
    before = picture(LATIN[kind], (5, 4))
    settings = dict(mpl.rcParams)
    install_fonts([])
    _forget_measured_texts()
    assert np.array_equal(before, picture(LATIN[kind], (5, 4)))
    assert settings == dict(mpl.rcParams)


def test_latin_beside_chinese_keeps_its_look() -> None:
    """In a mixed text the Latin letters are the default font's, not the Chinese font's."""
    install_fonts([])
    paths = manager._find_fonts_by_props(fm.FontProperties())
    assert ("DejaVuSans.ttf", "NotoSansSC-Regular.otf") == tuple(Path(str(path)).name for path in paths)


def test_an_operators_font_is_preferred(tmp_path: Path) -> None:
    """A kt_font.ttf in the first directory that has one gives the glyphs; the package's font stands behind it."""
    shutil.copy(PACKAGE_SERIF, tmp_path / "kt_font.ttf")
    report = install_fonts(["/nonexistent", str(tmp_path)])
    assert ("operator", str(tmp_path / "kt_font.ttf")) == (report.source, report.path)
    assert str(tmp_path / "kt_font.ttf") == fm.findfont("SimHei")
    paths = [str(path) for path in manager._find_fonts_by_props(fm.FontProperties())]
    assert [report.path, PACKAGE_SANS] == [path for path in paths if "DejaVu" not in path]


def test_an_operators_font_without_minus_borrows_it(tmp_path: Path) -> None:
    """With a font that lacks U+2212, as SimHei does, the minus sign comes from the default font."""
    subset = import_module("fontTools.subset")
    subset.main([PACKAGE_SANS, "--text=中文0123456789.-", f"--output-file={tmp_path / 'kt_font.ttf'}"])
    install_fonts([str(tmp_path)])
    assert 0 == fm.get_font(str(tmp_path / "kt_font.ttf")).get_char_index(0x2212)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert glyph("\u2212", "SimHei") == glyph("\u2212", "DejaVu Sans")
        glyph("额", "SimHei")


def test_a_damaged_operators_font_is_told_and_passed_over(tmp_path: Path) -> None:
    """A kt_font.ttf that is no font costs nothing but a sentence."""
    (tmp_path / "kt_font.ttf").write_bytes(b"no font at all")
    report = install_fonts([str(tmp_path)])
    assert ("package", 1) == (report.source, len(report.problems))
    assert "kt_font.ttf could not be used" in report.problems[0]


def test_a_system_font_is_used_where_no_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without operator's font and package, a CJK font of the system gives the glyphs."""
    monkeypatch.setattr(fonts, "_package_files", lambda: ("", ""))
    manager.ttflist.append(fm.FontEntry(fname=PACKAGE_SANS, name="WenQuanYi Zen Hei", weight=400))
    report = install_fonts([])
    assert ("system", "WenQuanYi Zen Hei", PACKAGE_SANS) == (report.source, report.family, report.path)
    assert PACKAGE_SANS == fm.findfont("SimHei")


def test_without_any_font_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no CJK font at all the report says so and matplotlib is as it was."""
    monkeypatch.setattr(fonts, "_package_files", lambda: ("", ""))
    known = list(manager.ttflist)
    assert FontReport() == install_fonts([])
    assert known == manager.ttflist


def test_a_font_installed_under_a_name_wins() -> None:
    """A name that the system has is not led elsewhere."""
    manager.ttflist.append(fm.FontEntry(fname=PACKAGE_SERIF, name="SimHei", weight=400))
    assert "SimHei" not in install_fonts([]).aliases
    assert PACKAGE_SERIF == fm.findfont("SimHei")


def test_a_font_that_a_job_adds_wins(tmp_path: Path) -> None:
    """A font file that brings one of the names takes the name over; all other names stay."""
    install_fonts([])
    assert PACKAGE_SERIF == fm.findfont("Noto Serif SC") == fm.findfont("SimSun")
    added = str(shutil.copy(PACKAGE_SERIF, tmp_path / "own.otf"))
    alias = next(entry for entry in manager.ttflist if entry.name == "SimSun")
    manager.ttflist[:] = [entry for entry in manager.ttflist if entry.name != "Noto Serif SC"]
    manager.ttflist.append(dataclasses.replace(alias, name="Noto Serif SC"))
    manager.warmfork_aliases.append(manager.ttflist[-1])
    manager.addfont(added)
    assert (added, PACKAGE_SERIF) == (fm.findfont("Noto Serif SC"), fm.findfont("SimSun"))


def test_installing_again_adds_nothing() -> None:
    """A second call gives the same report and leaves the same list of fonts."""
    first, known = install_fonts([]), len(manager.ttflist)
    second = install_fonts([])
    assert (first, known) == (second, len(manager.ttflist))
    assert 2 == len(manager._find_fonts_by_props(fm.FontProperties()))


@pytest.mark.skipif(not hasattr(fm, "FontPath"), reason="faces are kept over the fork from matplotlib 3.11 on")
def test_opened_fonts_survive_a_fork() -> None:
    """A forked child finds the fonts that its parent opened, and they read from memory."""
    install_fonts([])
    font = fm.get_font(manager._find_fonts_by_props(fm.FontProperties()))
    assert isinstance(font.fname, font_faces.FontMemory)
    glyph("中")
    opened = private._get_font.cache_info().misses
    child = os.fork()
    if not child:
        try:
            glyph("文")
            os._exit(private._get_font.cache_info().misses - opened)
        finally:
            os._exit(99)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_matplotlib_without_the_method_gets_the_family_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where per-glyph fallback cannot be hooked, the family stands last in font.family."""
    monkeypatch.delattr(type(manager), "_find_fonts_by_props")
    install_fonts([])
    install_fonts([])
    assert ["sans-serif", "Noto Sans SC"] == mpl.rcParams["font.family"]

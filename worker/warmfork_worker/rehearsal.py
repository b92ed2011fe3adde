"""Draws one figure of each common kind in the template, so that glyphs, fonts and lazy imports are paid for once.

Tables and arrays, too: see ``rehearsed_tables``.
"""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from warmfork_worker import rehearsed_tables


class Rehearsal:
    """Draws each kind as PNG, some as SVG and PDF too, one a step, and leaves everything as it was found.

    Restored after each step: rcParams, open figures and the current one, the states of ``random`` and ``numpy.random``,
    warning filters, unit converters.

    Attributes:
        failed: names of the kinds that failed, those whose libraries are missing included.
    """

    def __init__(self) -> None:
        self._steps = [(name, draw, kind) for name, (draw, formats) in KINDS.items() for kind in formats]
        self.failed: list[str] = []

    def step(self) -> bool:
        """Draw the next picture; about 0.1 s. False when there was none left. Never raises."""
        if not self._steps:
            return False
        name, draw, kind = self._steps.pop(0)
        try:
            with _everything_restored() as plt:
                # A tight box draws twice; what it needs beyond a plain one is warm after the kinds in all formats.
                tight = KINDS[name][1] == _ALL
                figure = draw(plt)
                if kind:
                    figure.savefig(io.BytesIO(), format=kind, bbox_inches="tight" if tight else None)
        except Exception:  # A library that is missing or changed costs speed, no more.
            if name not in self.failed:
                self.failed.append(name)
        return True


def rehearse() -> tuple[str, ...]:
    """Draw everything at once; the names of the kinds that failed. Never raises."""
    rehearsal = Rehearsal()
    while rehearsal.step():
        pass
    return tuple(rehearsal.failed)


@contextmanager
def _everything_restored() -> Iterator[Any]:
    matplotlib: Any = import_module("matplotlib")
    plt: Any = import_module("matplotlib.pyplot")
    numpy: Any = import_module("numpy")
    units: Any = import_module("matplotlib.units").registry
    helpers: Any = import_module("matplotlib._pylab_helpers").Gcf
    managers, converters = list(helpers.figs.values()), dict(units)
    names: Any = import_module("matplotlib.colors").colorConverter.colors
    colours = dict(names)
    python_state, numpy_state = random.getstate(), numpy.random.get_state()
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.simplefilter("ignore")
        try:
            yield plt
        finally:
            for number in set(helpers.figs) - {manager.num for manager in managers}:
                plt.close(number)
            for manager in managers:
                helpers.figs.move_to_end(manager.num)
            units.clear()
            units.update(converters)
            # seaborn.set_theme() gives "r", "g", "b" and the like other shades, past rcParams.
            for name, colour in colours.items():
                if names[name] != colour:
                    names[name] = colour
            random.setstate(python_state)
            numpy.random.set_state(numpy_state)


def _lines(plt: Any) -> Any:
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3], [-1, 4, 2], "o--", label="a")
    axes.plot([1, 2, 3], [2, 1, 3], label="b")
    axes.set(title="Title, 0123456789", xlabel="x label", ylabel="y label")
    axes.annotate("note", (2, 4), (1, 3), arrowprops={"arrowstyle": "->"})
    axes.set_title("bold", fontweight="bold", loc="left")
    axes.grid(True)
    axes.legend(title="legend")
    return figure


def _bars(plt: Any) -> Any:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
    left.bar_label(left.bar(["a", "b", "c"], [3, 1, 2]))
    left.tick_params(axis="x", rotation=45)
    right.barh(["d", "e"], [1, 2])
    figure.suptitle("Bars")
    figure.tight_layout()
    return figure


def _pie_and_histogram(plt: Any) -> Any:
    figure, (left, right) = plt.subplots(1, 2)
    left.pie([1, 2, 3], labels=["a", "b", "c"], autopct="%1.1f%%")
    right.hist([1, 2, 2, 3, 3, 3], bins=3)
    return figure


def _scatter_and_boxes(plt: Any) -> Any:
    figure, (left, right) = plt.subplots(1, 2)
    figure.colorbar(left.scatter([1, 2, 3], [3, 1, 2], c=[1, 2, 3], s=[10, 20, 30], alpha=0.5), ax=left)
    right.boxplot([[1, 2, 3], [2, 3, 5]])
    right.fill_between([1, 2], [1, 2])
    return figure


def _mathtext(plt: Any) -> Any:
    figure, axes = plt.subplots()
    axes.set_title(r"$\alpha_i^2 + \frac{1}{2}\sum_{k=0}^{n} \sqrt{x}\,\leq\,\mathrm{Re}(\mathbf{z})$")
    axes.semilogy([1, 2, 3], [1, 10, 100])
    axes.minorticks_off()
    return figure


def _chinese(plt: Any) -> Any:
    figure, axes = plt.subplots()
    axes.plot([1, 2], [-1, 1], label="销售额")
    axes.set_title("年度销售趋势", fontweight="bold")
    axes.set_xlabel("月份 ($t_0$)")
    axes.legend()
    return figure


def _chinese_by_name(plt: Any) -> Any:
    plt.rcParams["font.sans-serif"] = ["SimHei", "DejaVu Sans"]
    plt.rcParams["axes.unicode_minus"] = False
    return _chinese(plt)


def _image(plt: Any) -> Any:
    figure, axes = plt.subplots()
    figure.colorbar(axes.imshow([[1, 2], [3, 4]], cmap="viridis"))
    axes.contour([[1, 2], [3, 4]])
    return figure


def _three_dimensions(plt: Any) -> Any:
    figure = plt.figure()
    numpy: Any = import_module("numpy")
    grid = numpy.arange(3.0)
    axes = figure.add_subplot(projection="3d")
    axes.plot_surface(grid[:, None], grid[None, :], grid[:, None] * grid[None, :], cmap="viridis")
    return figure


def _dates(plt: Any) -> Any:
    pandas: Any = import_module("pandas")
    days = pandas.date_range("2024-01-01", periods=5)
    figure, axes = plt.subplots()
    axes.plot(days, range(5))
    figure.autofmt_xdate()
    pandas.Series(range(5), index=days).plot(ax=plt.figure().add_subplot())
    return figure


def _polar(plt: Any) -> Any:
    figure, axes = plt.subplots(subplot_kw={"projection": "polar"})
    axes.plot([0, 1, 2], [1, 2, 1])
    return figure


def _heatmap(plt: Any) -> Any:
    seaborn: Any = import_module("seaborn")
    figure, axes = plt.subplots()
    seaborn.heatmap([[0.1, 0.2], [0.3, 0.4]], annot=True, fmt=".2f", ax=axes)
    return figure


def _statistics(plt: Any) -> Any:
    seaborn: Any = import_module("seaborn")
    pandas: Any = import_module("pandas")
    seaborn.set_theme()
    frame = pandas.DataFrame({"x": [1, 2, 3, 4], "y": [2, 1, 4, 3], "kind": list("abab")})
    figure, axes = plt.subplots(2, 2)
    seaborn.barplot(frame, x="kind", y="y", ax=axes[0, 0])
    seaborn.lineplot(frame, x="x", y="y", hue="kind", ax=axes[0, 1])
    seaborn.histplot(frame, x="x", kde=True, ax=axes[1, 0])
    seaborn.boxplot(frame, x="kind", y="y", ax=axes[1, 1])
    return figure


_ALL: Final = ("png", "svg", "pdf")
_PNG: Final = ("png",)
_NO_PICTURE: Final = ("",)

KINDS: Final[dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]]] = {
    "lines": (_lines, _PNG),
    "bars": (_bars, _PNG),
    "pie and histogram": (_pie_and_histogram, _PNG),
    "scatter and boxes": (_scatter_and_boxes, _PNG),
    "mathtext": (_mathtext, _PNG),
    "Chinese": (_chinese, _ALL),
    "Chinese by name": (_chinese_by_name, _PNG),
    "image": (_image, _PNG),
    "three dimensions": (_three_dimensions, _PNG),
    "dates": (_dates, _PNG),
    "polar": (_polar, _PNG),
    "heatmap": (_heatmap, _PNG),
    "statistics": (_statistics, _PNG),
    "arrays": (lambda _: rehearsed_tables.arrays(), _NO_PICTURE),
    "tables": (lambda _: rehearsed_tables.tables(), _NO_PICTURE),
}

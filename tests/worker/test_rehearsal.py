"""The rehearsal: everything drawn once, nothing left behind."""

from __future__ import annotations

import random
import sys
import warnings
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.units
import numpy as np
import pytest

from warmfork_worker import rehearsal, rehearsed_tables
from warmfork_worker.rehearsal import KINDS, rehearse

pytestmark = pytest.mark.filterwarnings("ignore:Glyph")


@pytest.fixture(autouse=True)
def _agg() -> None:
    mpl.use("Agg")
    plt.close("all")


def _state() -> dict[str, Any]:
    return {
        "rcParams": dict(mpl.rcParams),
        "figures": (plt.get_fignums(), plt.gcf().number if plt.get_fignums() else None),
        "random": random.getstate(),
        "numpy.random": repr(np.random.get_state()),
        "filters": list(warnings.filters),
        "converters": dict(matplotlib.units.registry),
    }


def _disturb(figure: Any) -> Any:
    mpl.rcParams["axes.titlesize"] = 44
    plt.figure()
    random.random()
    np.random.rand()
    warnings.simplefilter("error")
    matplotlib.units.registry[dict] = matplotlib.units.ConversionInterface()
    return figure


def test_every_kind_can_be_drawn() -> None:
    """No kind fails with the libraries of the daemon's extra, and the list is long enough to mean something."""
    assert () == rehearse()
    assert {"lines", "mathtext", "Chinese", "heatmap", "three dimensions"} <= KINDS.keys()


@pytest.mark.parametrize("open_figures", [(), (3, 1)])
def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, open_figures: tuple[int, ...]) -> None:
    """Settings, figures, the current one, random states, filters, converters are as found, after a failure too."""
    for number in open_figures:
        plt.figure(number)
    before = _state()
    lines = KINDS["lines"][0]
    disturbing = {
        "disturbing": (lambda plt: _disturb(lines(plt)), ("png",)),
        "failing": (lambda plt: _disturb(lines(plt)).no_such_attribute, ("png",)),
    }
    monkeypatch.setattr(rehearsal, "KINDS", {**disturbing, "statistics": KINDS["statistics"], "dates": KINDS["dates"]})
    assert ("failing",) == rehearse()
    after = _state()
    plt.close("all")
    assert before == after


def test_one_failing_kind_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that raises is named once, and the kinds after it are drawn, anew for each format."""
    drawn: list[str] = []

    def failing(plt: Any) -> Any:
        raise ImportError("no such library")

    def good(plt: Any) -> Any:
        drawn.append("good")
        return plt.figure()

    monkeypatch.setattr(
        rehearsal, "KINDS", {"failing": (failing, ("png", "svg")), "good": (good, ("png", "svg", "pdf"))}
    )
    assert (("failing",), ["good"] * 3) == (rehearse(), drawn)


def test_without_seaborn_only_its_kinds_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library costs the kinds that need it and no other."""
    monkeypatch.setitem(sys.modules, "seaborn", None)
    wanted = {name: KINDS[name] for name in ("heatmap", "lines", "statistics")}
    monkeypatch.setattr(rehearsal, "KINDS", wanted)
    assert ("heatmap", "statistics") == rehearse()


def test_no_tables_where_pandas_would_start_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has found a library that computes in threads, none of it is called."""
    for name in ("pyarrow", "numexpr"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError):
        rehearsed_tables.tables()
    monkeypatch.setitem(sys.modules, "pyarrow", object())
    rehearsed_tables.tables()

"""Plots of measured times, for ``warmfork bench`` and for the project's own suite. The one module here that needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from warmfork.cli.bench_stats import milliseconds, steps

COLORS: Final = (
    *("#0b6e99", "#d1603d", "#5b8c3e", "#8a5aa8", "#b8860b", "#444444", "#c2518c", "#2a9d8f", "#7f8fa6"),
    *("#9ccc65", "#6d4c41"),
)
"""At least as many as a job has phases, and a suite systems: none may stand for two."""
_DPI: Final = 130
_SPREAD_LINEAR: Final = 20
"""Rates further apart than this many times stand on a logarithmic axis."""


def draw_distributions(path: Path, title: str, taken_s: Mapping[str, Sequence[float]]) -> Path:
    """Latencies as empirical distributions, one curve for each name, on a logarithmic axis. Returns ``path``."""
    figure, ax = _blank(title, (9.6, 4.6))
    for color, (name, samples) in zip(_cycle(len(taken_s)), taken_s.items(), strict=True):
        values, shares = steps([seconds * 1000 for seconds in samples])
        ax.step(
            [values[0], *values],
            [0.0, *shares],
            where="post",
            color=color,
            linewidth=1.8,
            label=f"{name} (n = {len(values)})",
        )
    ax.set_xscale("log")
    ax.set_xlabel("round trip, ms")
    ax.set_ylabel("share of calls answered")
    ax.set_ylim(0, 1.02)
    for share in (0.5, 0.9, 0.99):
        ax.axhline(share, color="#999999", linewidth=0.7, linestyle=":")
    figure.legend(fontsize=8, frameon=False, loc="outside right center")
    return _save(figure, path)


def draw_load(path: Path, title: str, curves: Mapping[str, Sequence[tuple[int, float, float, float]]]) -> Path:
    """Answers a second and latency against the number of callers. Returns ``path``.

    Args:
        curves: by name, rows of callers, answers a second, median and 99th percentile of the round trip in seconds.
    """
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    rate, latency = figure.subplots(1, 2)
    for color, (name, rows) in zip(_cycle(len(curves)), curves.items(), strict=True):
        callers = [row[0] for row in rows]
        rate.plot(callers, [row[1] for row in rows], "o-", color=color, linewidth=1.6, markersize=4, label=name)
        latency.plot(
            callers, [row[2] * 1000 for row in rows], "o-", color=color, linewidth=1.6, markersize=4, label=name
        )
        latency.plot(callers, [row[3] * 1000 for row in rows], "--", color=color, linewidth=1.0)
    for ax in (rate, latency):
        _quiet(ax)
        ax.set_xscale("log", base=2)
        ticks = sorted({row[0] for rows in curves.values() for row in rows})
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.set_xlabel("callers at the same time")
    rate.set_ylabel("answers a second")
    rates = [row[1] for rows in curves.values() for row in rows if row[1] > 0]
    if rates and max(rates) > _SPREAD_LINEAR * min(rates):
        rate.set_yscale("log")
    else:
        rate.set_ylim(bottom=0)
    rate.legend(fontsize=8, frameon=False)
    latency.set_yscale("log")
    latency.set_ylabel("round trip, ms (line: p50, dashes: p99)")
    return _save(figure, path)


def draw_phases(path: Path, title: str, phases_s: Mapping[str, Mapping[str, float]]) -> Path:
    """What one job's time goes into: a bar of 100 % for each name, its phases in their order. Returns ``path``."""
    names = list(dict.fromkeys(phase for phases in phases_s.values() for phase in phases))
    figure, ax = _blank(title, (9.0, 1.6 + 0.55 * len(phases_s)))
    totals = {row: sum(phases.values()) or 1.0 for row, phases in phases_s.items()}
    labels = [f"{row}  {milliseconds(totals[row])} ms" for row in phases_s]
    left = [0.0] * len(phases_s)
    for color, phase in zip(_cycle(len(names)), names, strict=True):
        shares = [phases.get(phase, 0.0) / totals[row] for row, phases in phases_s.items()]
        bars = ax.barh(labels, shares, left=left, color=color, height=0.62, label=phase)
        words = [
            milliseconds(share * total) if share > 0.06 else ""
            for share, total in zip(shares, totals.values(), strict=True)
        ]
        ax.bar_label(bars, words, label_type="center", fontsize=7, color="white")
        left = [start + share for start, share in zip(left, shares, strict=True)]
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of the time; numbers in ms")
    ax.grid(visible=False, axis="y")
    figure.legend(fontsize=8, frameon=False, ncols=min(len(names), 5), loc="outside lower center")
    return _save(figure, path)


def _cycle(count: int) -> list[str]:
    return [COLORS[number % len(COLORS)] for number in range(count)]


def _blank(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    ax = figure.subplots()
    ax.set_title(title, fontsize=11)
    _quiet(ax)
    return figure, ax


def _quiet(ax: Axes) -> None:
    ax.grid(visible=True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=_DPI, bbox_inches="tight")
    return path

"""The picture of a soak: panels above each other on one axis of time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from bench.soak import analysis
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image

from warmfork.results import VERDICTS

_MIB: Final = float(1 << 20)
_DPI: Final = 110
_COLOURS_MAX: Final = 128
_HEIGHTS: Final = (1.15, 1.0, 1.15, 1.25)
_BLUE, _ORANGE, _GREEN, _GREY = "#1f5fa8", "#d9822b", "#3a8a4d", "#8a8f98"
_BARS_MAX: Final = 90
_STRETCHES_MAX: Final = 180
_OF_VERDICT: Final = {
    "ok": "#7fb58a",
    "error": "#e3b04b",
    "timeout": "#c56b4e",
    "memory_limit": "#8e5aa8",
    "disk_limit": "#5a7fb5",
    "crashed": "#a33a4a",
    "cancelled": "#b4b8bf",
}


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw a report as PNG with few colours, which is small."""
    figure = Figure(figsize=(10, 10.2), layout="constrained")
    panels = figure.subplots(4, 1, sharex=True, height_ratios=_HEIGHTS)
    seconds = report["plan"]["seconds"]
    minutes = np.asarray(report["samples"]["at_s"]) / 60
    _draw_memory(panels[0], minutes, report["samples"])
    _draw_counts(panels[1], minutes, report["samples"])
    _draw_latency(panels[2], report["windows"])
    _draw_jobs(panels[3], report["answers"], seconds)
    for panel in panels:
        _tidy(panel, seconds / 60, stacked=panel is panels[-1])
    panels[0].annotate("warm-up", (0.01, 0.04), xycoords="axes fraction", fontsize=8, color=_GREY)
    figure.align_ylabels()
    panels[-1].set_xlabel("minutes from the start of the load")
    figure.suptitle(_title(report), fontsize=11)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=_DPI)
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(_COLOURS_MAX, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _title(report: dict[str, Any]) -> str:
    seconds, number = report["plan"]["seconds"], report["jobs"]
    wrong = report["problems"]
    return (
        f"Soak: {number:,} jobs in {seconds / 60:g} minutes ({number / seconds:.1f}/s), {wrong or 'no'} wrong answers, "
        f"on {report['facts']['cpus']} CPUs"
    )


def _draw_memory(panel: Axes, minutes: np.ndarray, samples: dict[str, list[Any]]) -> None:
    template = np.asarray(samples["template_bytes"], dtype=float) / _MIB
    template[template == 0] = np.nan  # it was just being replaced
    _band(panel, minutes, template, color=_GREY, label="template, resident")
    _band(panel, minutes, np.asarray(samples["rss_bytes"]) / _MIB, color=_BLUE, label="daemon, resident")
    if samples["uss_bytes"] != samples["rss_bytes"]:
        _band(panel, minutes, np.asarray(samples["uss_bytes"]) / _MIB, color=_ORANGE, label="daemon, unshared")
    panel.set_ylabel("MiB")
    panel.set_title("Memory")


def _draw_counts(panel: Axes, minutes: np.ndarray, samples: dict[str, list[Any]]) -> None:
    _band(panel, minutes, samples["descriptors"], color=_BLUE, label="open descriptors of the daemon")
    _band(panel, minutes, samples["processes"], color=_GREEN, label="processes below it")
    if any(samples["slots"]):  # where jobs have mounts of their own, nothing of them is on disk
        _band(panel, minutes, samples["slots"], color=_ORANGE, label="slots on disk")
    _band(panel, minutes, samples["queued"], color=_GREY, label="queued jobs")
    panel.set_ylabel("number")
    panel.set_title("Descriptors, processes, queue")


def _band(panel: Axes, minutes: np.ndarray, values: Any, *, color: str, label: str) -> None:
    """The medians of stretches as a line, and behind it all that there was from lowest to highest."""
    stretches = np.array_split(np.asarray(values, dtype=float), min(_STRETCHES_MAX, len(minutes)))
    middles = [float(np.mean(stretch)) for stretch in np.array_split(minutes, len(stretches))]
    lowest, median, highest = (
        [float(look(stretch)) for stretch in stretches] for look in (np.nanmin, np.nanmedian, np.nanmax)
    )
    panel.fill_between(middles, lowest, highest, color=color, alpha=0.22, linewidth=0)
    panel.plot(middles, median, color=color, label=label, linewidth=1.3)


def _draw_latency(panel: Axes, windows: list[dict[str, float]]) -> None:
    minutes = [window["at_s"] / 60 for window in windows]
    panel.plot(minutes, [window["p95_ms"] for window in windows], color=_ORANGE, label="95th percentile", linewidth=1.3)
    panel.plot(minutes, [window["median_ms"] for window in windows], color=_BLUE, label="median", linewidth=1.3)
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("")
    panel.set_ylabel("ms")
    width_s = windows[1]["at_s"] - windows[0]["at_s"] if len(windows) > 1 else 0.0
    panel.set_title(f"Latency of a trivial job beside the load, windows of {width_s:.3g} s")


def _draw_jobs(panel: Axes, answers: list[tuple[float, str]], seconds: float) -> None:
    edges = np.linspace(0, seconds, min(_BARS_MAX, max(12, int(seconds / 4))) + 1)
    width_s = float(edges[1] - edges[0])
    counts = {
        verdict: np.histogram([at_s for at_s, its in answers if its == verdict], edges)[0] / width_s
        for verdict, _ in sorted(Counter(its for _, its in answers).items(), key=lambda pair: _place(pair[0]))
    }
    panel.stackplot(
        edges / 60,
        [np.append(rates, rates[-1]) for rates in counts.values()],
        labels=list(counts),
        colors=[_OF_VERDICT.get(verdict, "black") for verdict in counts],
        linewidth=0,
        step="post",
    )
    panel.set_ylabel("jobs/s")
    panel.set_title("Answers by verdict")


def _place(verdict: str) -> int:
    known: tuple[str, ...] = VERDICTS
    return known.index(verdict) if verdict in known else len(known)


def _tidy(panel: Axes, minutes: float, *, stacked: bool) -> None:
    panel.set_xlim(0, minutes)
    if panel.get_yscale() == "linear":
        panel.set_ylim(bottom=0)
    title = panel.get_title()
    panel.set_title("")
    panel.set_title(title, fontsize=10, loc="left")
    panel.grid(visible=True, color="#e4e6ea", linewidth=0.8)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.axvspan(0, minutes * analysis.WARM_UP, color="#f2f3f5", zorder=0)
    # Beside the panel, never over its data.
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9, reverse=stacked)

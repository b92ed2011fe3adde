"""What ``warmfork run`` tells about a result: for people, or as one JSON object."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from warmfork.cli.sizes import show_bytes, show_seconds
from warmfork.cli.terminal import say
from warmfork.results import PHASES, Chart, Result, Usage


def print_result(
    result: Result, chart_paths: Sequence[Path], file_paths: Mapping[str, Path], files: Mapping[str, bytes]
) -> None:
    """Where the charts are, and why the job ended, on stderr. Its own output is there already."""
    if result.verdict == "error" and result.error is not None and not _told_by_the_job(result):
        say(f"{result.error.type}: {result.error.message}")
    if result.verdict not in ("ok", "error"):
        say(_explanation(result))
    for chart, path in zip(result.charts, chart_paths, strict=True):
        say(f"saved {path} ({_described(chart)})")
    for path in file_paths.values():
        say(f"saved {path}")
    if files and not file_paths:
        say(f"the code wrote {_counted(len(files), 'other file')}; --save-files saves them too")
    if result.dropped.charts:
        say(f"{_counted(result.dropped.charts, 'chart')} over the limits dropped")
    if result.dropped.files:
        say(f"{_counted(result.dropped.files, 'file')} over the limits, or not regular, dropped")


def print_usage(usage: Usage) -> None:
    """What the job cost, and in which phases its time went, on stderr."""
    say(f"CPU {show_seconds(usage.cpu_s)}, memory {show_bytes(usage.peak_memory_bytes)} at most")
    seconds = {name.removesuffix("_s"): getattr(usage.phases, name) for name in PHASES}
    if any(seconds.values()):
        say(", ".join(f"{name} {show_seconds(spent)}" for name, spent in seconds.items()))


def print_json(result: Result, chart_paths: Sequence[Path], file_paths: Mapping[str, Path]) -> None:
    """Everything but the bytes, in one JSON object on stdout; sizes in bytes, times in seconds."""
    told: dict[str, Any] = {
        "job_id": result.job_id,
        "verdict": result.verdict,
        "ok": result.ok,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "error": None if result.error is None else dataclasses.asdict(result.error),
        "charts": [
            {
                "path": str(path),
                "media_type": chart.media_type,
                "size_bytes": len(chart.data),
                "width_px": chart.width_px,
                "height_px": chart.height_px,
                "index": chart.index,
                "figure_number": chart.figure_number,
                "title": chart.title,
                "file_name": chart.file_name,
            }
            for chart, path in zip(result.charts, chart_paths, strict=True)
        ],
        "files": [
            {
                "name": name,
                "size_bytes": len(data),
                "path": str(file_paths[name]) if name in file_paths else None,
            }
            for name, data in result.files.items()
        ],
        "usage": structs.asdict(result.usage) | {"phases": structs.asdict(result.usage.phases)},
        "dropped": structs.asdict(result.dropped),
        "exit_code": result.exit_code,
        "retry_after_s": result.retry_after_s,
        "retry_safe": result.retry_safe,
        "policy": result.policy,
        "guarded": result.guarded,
        "queue_length": result.queue_length,
    }
    # ASCII alone: every locale can write it, and nothing in it can steer a terminal.
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _told_by_the_job(result: Result) -> bool:
    error = result.error
    return error is None or bool(error.traceback) or (bool(result.stderr) and error.message in result.stderr)


def _explanation(result: Result) -> str:
    text = result.verdict if result.error is None else f"{result.verdict}: {result.error.message}"
    if result.retry_after_s is not None:
        text += f" (try again in {show_seconds(result.retry_after_s)})"
    if result.verdict == "lost" and result.retry_safe is not None:
        text += " (it did not run)" if result.retry_safe else " (it may have run)"
    return text


def _described(chart: Chart) -> str:
    return f"{chart.media_type}, {chart.width_px} x {chart.height_px} px"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")

"""Drawing a ``View`` with rich: cells as they are, never as markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from warmfork.cli.sizes import show_seconds
from warmfork.cli.top_model import BLOCKS, BLOCKS_ASCII, Choice, Table, View, spark, window

_FAILURES_SHOWN: Final = 8
_WORKERS_SHOWN_MIN: Final = 3
_SPARK_CHARS: Final = 60
_KEYS: Final = "q quit   up/down select a job   c cancel it (your own jobs alone)"
_STYLE_OF: Final = {"busy": "bold", "ending": "dim", "idle": "dim"}


def draw(view: View, console: Console, choice: Choice = Choice(), message: str = "", *, live: bool = True) -> Group:  # noqa: B008 - frozen
    """The whole screen; ``live`` fits it to the console's height and shows the keys."""
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else BLOCKS_ASCII
    top = list(_head(view, blocks))
    failures = _table(view.failures, range(min(_FAILURES_SHOWN, len(view.failures.rows))))
    selected = view.jobs.index(choice.job_id) if choice.job_id in view.jobs and choice.job_id else None
    count = len(view.workers.rows)
    height = count
    if live:
        used = _height(console, [*top, failures]) + 5  # headings, a blank line, message and keys
        height = max(_WORKERS_SHOWN_MIN, console.size.height - used)
    shown = window(count, selected, height)
    parts: list[RenderableType] = [*top, _table(view.workers, shown, selected)]
    if len(shown) < count:
        parts.append(Text(f"  … {count - len(shown)} more", style="dim"))
    parts.append(failures)
    if live:
        ask = f"cancel job {choice.job_id[:12]}? y: yes, any other key: no" if choice.asking else ""
        parts += [
            Text(ask or message, style="bold yellow", no_wrap=True, overflow="ellipsis"),
            Text(_KEYS, style="dim"),
        ]
    return Group(*parts)


def _head(view: View, blocks: str) -> Iterable[RenderableType]:
    yield Text(view.headline, style="bold", no_wrap=True, overflow="ellipsis")
    for alarm in view.alarms:
        yield Text(f"! {alarm}", style="bold red", no_wrap=True, overflow="ellipsis")
    facts = RichTable.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in view.facts:
        facts.add_row(Text(name), Text(value))
    if view.answered_by_second:
        highest = f"{max(view.answered_by_second):g} a second at most"
        line = spark(view.answered_by_second, _SPARK_CHARS, blocks)
        facts.add_row(Text("last minute"), Text(f"{line}  {highest}"))
    if view.recent_total_s:
        line = spark(view.recent_total_s, _SPARK_CHARS, blocks)
        facts.add_row(Text("last jobs"), Text(f"{line}  {show_seconds(max(view.recent_total_s))} at most"))
    yield facts
    yield _table(view.latency, range(len(view.latency.rows)))


def _table(table: Table, shown: range, selected: int | None = None) -> RichTable:
    drawn = RichTable(
        title=Text(table.title, style="bold"), title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False
    )
    for index, name in enumerate(table.columns):
        justify = "right" if index in table.numbers else "left"
        drawn.add_column(Text(name, style="dim"), justify=justify, no_wrap=True, overflow="ellipsis")
    for place in shown:
        row = table.rows[place]
        style = "reverse" if place == selected else next((_STYLE_OF[cell] for cell in row if cell in _STYLE_OF), "")
        drawn.add_row(*(Text(cell) for cell in row), style=style)
    return drawn


def _height(console: Console, parts: Iterable[RenderableType]) -> int:
    return sum(len(console.render_lines(part)) for part in parts)

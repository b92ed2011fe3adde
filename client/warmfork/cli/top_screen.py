"""Drawing a ``View`` with rich: cells as they are, never as markup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from warmfork.cli.sizes import show_seconds
from warmfork.cli.top_model import BLOCKS, BLOCKS_ASCII, Choice, Table, View, spark, window

_WORKERS_SHOWN_MIN: Final = 3
_SPARK_CHARS: Final = 60
_NAME_CHARS: Final = 11
_NARROW_CHARS: Final = 100
_KEYS: Final = "q quit   up/down select a job   c cancel it (your own jobs alone)"
_STYLE_OF: Final = {"busy": "bold", "ending": "dim", "idle": "dim"}
_ALL: Final = 99
_HEADINGS: Final = 3
"""Lines of the workers' table besides workers: title, columns, how many more there are."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much is drawn: number of facts, whether the latency table, number of failures, of tenants that wait."""

    facts: int = _ALL
    latency: bool = True
    failures: int = 8
    queue: int = 5


_EXTENTS: Final = (
    _Extent(),
    _Extent(failures=3, queue=3),
    _Extent(latency=False, failures=3, queue=3),
    _Extent(5, latency=False, failures=3, queue=2),
    _Extent(5, latency=False, failures=0, queue=0),
    _Extent(2, latency=False, failures=0, queue=0),
)
"""What gives way first in a terminal with few lines: the last is what always stands."""


def draw(view: View, console: Console, choice: Choice = Choice(), message: str = "", *, live: bool = True) -> Group:  # noqa: B008 - frozen
    """The whole screen; ``live`` fits it to the console's height and shows the keys."""
    head = list(_head(view))
    if live:
        ask = f"cancel job {choice.job_id[:12]}? y: yes, any other key: no" if choice.asking else ""
        # Above all that may be too long for the terminal, so that both are always seen.
        head += [Text(ask or message or _KEYS, style="bold yellow" if ask or message else "dim", no_wrap=True)]
    selected = view.jobs.index(choice.job_id) if choice.job_id and choice.job_id in view.jobs else None
    count = len(view.workers.rows)
    facts, rest, room = _fitting(view, console, head, live)
    shown = window(count, selected, room)
    more = [Text(f"… {count - len(shown)} more", style="dim")] if len(shown) < count else []
    return Group(*head, *facts, _table(view.workers, shown, console, selected), *more, *rest)


def _fitting(
    view: View, console: Console, head: list[RenderableType], live: bool
) -> tuple[list[RenderableType], list[RenderableType], int]:
    """What stands above and below the workers, and how many of them there is room for."""
    count = len(view.workers.rows)
    facts: list[RenderableType] = []
    rest: list[RenderableType] = []
    room = count
    for extent in _EXTENTS:
        facts, rest = _facts(view, console, extent), _rest(view, console, extent)
        room = console.size.height - _height(console, [*head, *facts, *rest]) - _HEADINGS if live else count
        if room >= min(count, _WORKERS_SHOWN_MIN):
            break
    return facts, rest, max(room, _WORKERS_SHOWN_MIN)


def _head(view: View) -> Iterable[RenderableType]:
    yield Text(view.headline, style="bold", no_wrap=True, overflow="ellipsis")
    for alarm in view.alarms:
        yield Text(f"! {alarm}", style="bold red", no_wrap=True, overflow="ellipsis")


def _facts(view: View, console: Console, extent: _Extent) -> list[RenderableType]:
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else BLOCKS_ASCII
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=_NAME_CHARS)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in view.facts[: extent.facts]:
        grid.add_row(Text(name), Text(value))
    room = max(10, min(_SPARK_CHARS, console.width - 40))
    if view.answered_by_second and extent.facts == _ALL:
        line = spark(view.answered_by_second, room, blocks)
        grid.add_row(Text("last minute"), Text(f"{line}  {max(view.answered_by_second):g} a second at most"))
    if view.recent_total_s and extent.facts == _ALL:
        line = spark(view.recent_total_s, room, blocks)
        grid.add_row(Text("last jobs"), Text(f"{line}  {show_seconds(max(view.recent_total_s))} at most"))
    return [grid]


def _rest(view: View, console: Console, extent: _Extent) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if extent.queue and view.queue.rows:
        parts.append(_table(view.queue, range(min(extent.queue, len(view.queue.rows))), console))
    if extent.failures:
        parts.append(_table(view.failures, range(min(extent.failures, len(view.failures.rows))), console))
    if extent.latency:
        parts.append(_table(view.latency, range(len(view.latency.rows)), console))
    return parts


def _table(table: Table, shown: range, console: Console, selected: int | None = None) -> RichTable:
    gap = 1 if console.width < _NARROW_CHARS else 2
    drawn = RichTable(
        title=Text(table.title, style="bold"), title_justify="left", box=None, padding=(0, gap, 0, 0), pad_edge=False
    )
    for index, name in enumerate(table.columns):
        justify: JustifyMethod = "right" if index in table.numbers else "left"
        drawn.add_column(Text(name, style="dim"), justify=justify, no_wrap=True, overflow="ellipsis")
    for place in shown:
        row = table.rows[place]
        style = "reverse" if place == selected else next((_STYLE_OF[cell] for cell in row if cell in _STYLE_OF), "")
        drawn.add_row(*(Text(cell) for cell in row), style=style)
    return drawn


def _height(console: Console, parts: Iterable[RenderableType]) -> int:
    return sum(len(console.render_lines(part)) for part in parts)

"""``warmfork status``: how the daemon is, for people or for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from warmfork.cli.connection import add_connection_flags, connection_of
from warmfork.cli.sizes import show_bytes, show_seconds
from warmfork.cli.terminal import one_line
from warmfork.client import Client

DESCRIPTION: Final = "Show the state of the running daemon: workers, queue, jobs so far."
EPILOG: Final = """\
examples:
  warmfork status
  warmfork status --json
  warmfork status --address ipc:///run/warmfork/warmfork.sock

exit codes: 0 it answered, 69 no daemon answered.
"""


_DRAWN: Final = ("recent_total_s", "answered_by_second")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object: sizes in bytes, times in seconds")
    add_connection_flags(parser, note=", such as ipc:///run/warmfork/warmfork.sock (default: the first that answers)")


def execute(args: argparse.Namespace) -> int:
    """Ask and print. Raises DaemonUnreachable."""
    with Client(**connection_of(args)) as client:
        status = client.status()
    if args.json:
        sys.stdout.write(json.dumps(status, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(_for_people(status))) + "\n")
    return 0


def _for_people(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the long rows of numbers that ``warmfork top`` draws."""
    latency = status.get("latency")
    if not isinstance(latency, Mapping):
        return status
    return {**status, "latency": {name: value for name, value in latency.items() if name not in _DRAWN}}


def _lines(section: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Plain values first, aligned; then each nested part under its name."""
    indent = "  " * depth
    plain = {_label(name): _shown(name, value) for name, value in section.items() if not _is_nested(value)}
    width = max(map(len, plain), default=0)
    for label, shown in plain.items():
        yield f"{indent}{label:<{width}}  {shown}".rstrip()
    for name, value in section.items():
        if not _is_nested(value):
            continue
        yield f"{indent}{_label(name)}"
        if isinstance(value, Mapping):
            yield from _lines(value, depth + 1)
        else:
            yield from _table(value, depth + 1)


def _table(rows: Sequence[Mapping[str, Any]], depth: int) -> Iterator[str]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_label(name) for name in columns], *([_shown(name, row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    for line in cells:
        yield "  " * depth + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _is_nested(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _label(name: str) -> str:
    return one_line(name.removesuffix("_s").removesuffix("_bytes").replace("_", " "))


def _shown(name: str, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and name.endswith("_bytes"):
        return show_bytes(value)
    if number and name.endswith("_s"):
        return show_seconds(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return one_line(", ".join(map(str, value))) or "-"
    if value is None or value == "" or isinstance(value, Mapping):
        return one_line(json.dumps(value)) if value else "-"
    return one_line(str(value))

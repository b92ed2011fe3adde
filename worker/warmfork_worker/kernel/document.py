"""Prints the table of system calls as Markdown: the end of ``docs/security.md``.

python -m warmfork_worker.kernel.document docs/security.md      # renews the table in place
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from warmfork_worker.kernel.numbers import KNOWN_MAX
from warmfork_worker.kernel.rules import Check, Rule, rules

MARKER: Final = "<!-- generated from warmfork_worker/kernel/rules.py: do not edit below -->"
_WORD: Final = 0xFFFFFFFF


def generated_tables() -> str:
    """All tables of the filter, from the marker line on."""
    table = rules(file_exec=True)
    parts = [
        MARKER,
        "## Calls that pass",
        _table(("calls", "why"), ((_names(rule), rule.reason) for rule in table if _passes(rule) and not rule.ways)),
        "## Calls that pass with some arguments",
        "Arguments are numbered from 0. Any other value is EPERM.",
        _table(
            ("calls", "passes when", "why"), ((_names(rule), _ways(rule), rule.reason) for rule in table if rule.ways)
        ),
        "## Calls that are answered and not made",
        _table(
            ("calls", "answer", "why"),
            ((_names(rule), _answer(rule), rule.reason) for rule in table if not _passes(rule)),
        ),
        "## Everything else",
        _table(("what", "answer"), _others()),
    ]
    return "\n\n".join(parts) + "\n"


def renew(document: Path) -> None:
    """Replace everything from the marker on in ``document``. Raises OSError as reading and writing do."""
    prose = document.read_text(encoding="utf-8").partition(MARKER)[0]
    document.write_text(prose + generated_tables(), encoding="utf-8")


def _passes(rule: Rule) -> bool:
    return rule.errno is None


def _names(rule: Rule) -> str:
    return " ".join(f"`{name}`" for name in rule.names)


def _answer(rule: Rule) -> str:
    assert rule.errno is not None
    return errno.errorcode[rule.errno] if rule.errno else "success"


def _ways(rule: Rule) -> str:
    """The conditions of a rule, also those of ``mmap`` that hold only where the job's directory is noexec."""
    strict = next((other.ways for other in rules(file_exec=False) if other.names == rule.names), ())
    texts = [
        _way(way) + ("" if way in strict else " (only where the job's directory is a noexec mount)")
        for way in rule.ways
    ]
    return "; or ".join(texts)


def _way(checks: Iterable[Check]) -> str:
    return " and ".join(_check(check) for check in checks)


def _check(check: Check) -> str:
    values = " or ".join(_number(value) for value in check.values)
    part = f"argument {check.argument}"
    if check.mask != _WORD:
        part += f" & {check.mask:#x}"
    return f"{part} = {values}"


def _number(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"


def _others() -> tuple[tuple[str, str], ...]:
    return (
        (f"any other number up to {KNOWN_MAX}", "EPERM"),
        (f"numbers from {KNOWN_MAX + 1} on, newer than this table", "ENOSYS"),
        ("x32 numbers, on x86_64 (from 0x40000000 on)", "EPERM"),
        ("calls of another architecture (`int 0x80` on x86_64)", "the process is killed"),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    renew(Path(sys.argv[1]))

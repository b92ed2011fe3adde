"""Prints the policy's tables as Markdown: the second half of ``docs/policy.md``.

python -m warmfork_worker.policy.document docs/policy.md      # renews the tables in place
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from warmfork_worker.policy import tables
from warmfork_worker.policy.tables import Act, Entry

MARKER: Final = "<!-- generated from warmfork_worker/policy/tables.py: do not edit below -->"
_SECTIONS: Final = (
    ("Restricted modules", tables.RESTRICTED_MODULES),
    ("Private doors to restricted modules", tables.PRIVATE_DOORS),
    ("Guarded builtins", tables.GUARDED_BUILTINS),
    ("Library functions and attributes", tables.LIBRARY_FUNCTIONS),
    ("Single files that may be read", tables.READABLE_FILES),
    ("Single files that may be written", tables.WRITABLE_FILES),
)


def generated_tables() -> str:
    """All tables of the policy, from the marker line on."""
    parts = [MARKER, *(_section(title, entries) for title, entries in _SECTIONS), _acts(tables.ACTS), _backends()]
    return "\n\n".join(parts) + "\n"


def renew(document: Path) -> None:
    """Replace everything from the marker on in ``document``. Raises OSError as reading and writing do."""
    prose = document.read_text(encoding="utf-8").partition(MARKER)[0]
    document.write_text(prose + generated_tables(), encoding="utf-8")


def _section(title: str, entries: Iterable[Entry]) -> str:
    rows = [(f"`{entry.name}`", entry.reason, entry.hint, ", ".join(entry.policies)) for entry in entries]
    return f"## {title}\n\n" + _table(("name", "reason", "what works", "policies"), rows)


def _acts(acts: Iterable[Act]) -> str:
    rows = [
        (f"`{act.event}`", act.what.replace("{0!r}", "a URL"), _rule_text(act), act.hint, ", ".join(act.policies))
        for act in acts
    ]
    return "## Acts (audit events)\n\n" + _table(("event", "act", "rule", "what works", "policies"), rows)


def _rule_text(act: Act) -> str:
    if act.rule != "paths":
        return act.rule
    return ", ".join(f"{use} path {index + 1}" for use, index, _dir_fd in act.paths)


def _backends() -> str:
    return "## Backends that matplotlib may be switched to\n\n" + ", ".join(
        f"`{name}`" for name in tables.NON_INTERACTIVE_BACKENDS
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    renew(Path(sys.argv[1]))

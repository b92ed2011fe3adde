"""The security document, the table of system calls and the tests that it names are one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from warmfork_worker.kernel.document import MARKER, generated_tables
from warmfork_worker.kernel.numbers import MACHINES
from warmfork_worker.kernel.rules import rules

ROOT: Final = Path(__file__).resolve().parents[2]
_DOCUMENT: Final = ROOT / "docs" / "security.md"
_PROMISES_MIN: Final = 25


def test_document_lists_every_call_of_the_table() -> None:
    """docs/security.md ends in exactly what the rules print; renew it with python -m warmfork_worker.kernel.document."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    assert generated_tables() == text[text.index(MARKER) :]


def test_every_call_stands_in_one_row() -> None:
    """Each call that a rule names is printed once, so that no row can hide behind another, and has a number."""
    printed = re.findall(
        r"`(\w+)`", "\n".join(line for line in generated_tables().splitlines() if line.startswith("| `"))
    )
    named = [name for rule in rules(file_exec=True) for name in rule.names]
    assert sorted(named) == sorted(printed)
    assert set() == set(named) - set(MACHINES["x86_64"].numbers)


def test_every_promise_is_mapped_to_tests_that_exist() -> None:
    """Each promise of docs/security.md names at least one test, and each test that the document names is there."""
    prose = _DOCUMENT.read_text(encoding="utf-8").partition(MARKER)[0]
    table = prose.partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= _PROMISES_MIN
    assert [] == [row for row in rows if not re.search(r"`tests/[\w/]+\.py::\w+`", row)]
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", prose):
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), (
            f"{file}::{test}"
        )
    for file in re.findall(r"`(tests/[\w/]+\.py)`", prose):
        assert (ROOT / file).is_file(), file

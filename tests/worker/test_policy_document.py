"""The document and the tables are one."""

from __future__ import annotations

from pathlib import Path

from warmfork_worker.policy.document import MARKER, generated_tables

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "policy.md"


def test_document_lists_every_entry_of_the_tables() -> None:
    """docs/policy.md ends in exactly what the tables print; renew it with python -m warmfork_worker.policy.document."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    assert generated_tables() == text[text.index(MARKER) :]

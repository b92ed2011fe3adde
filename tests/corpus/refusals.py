"""Recognises a refusal of the policy in what a script's user sees, and tells which entry of the table it is."""

from __future__ import annotations

from typing import Final

from tests.corpus.records import Outcome

from warmfork_worker.policy import tables

SENTENCE: Final = "not allowed in the code sandbox"

# The sentences that do not start with the entry's own words.
_OTHER_WORDS: Final = {
    "open": ("Reading '", "Writing to '"),
    "matplotlib.use": ("The matplotlib backend '",),
}


def refusal_text(outcome: Outcome) -> str:
    """The lines in which the policy's sentence stands, or nothing: a script may have caught the error and gone on."""
    lines = f"{outcome.error_message}\n{outcome.stdout}\n{outcome.stderr}".splitlines()
    return "\n".join(line for line in lines if SENTENCE in line)


def is_refusal_by(entry: str, text: str) -> bool:
    """Whether ``text``, from ``refusal_text``, holds the sentence of the table's ``entry``."""
    return any(words in text for words in words_of(entry))


def words_of(entry: str) -> tuple[str, ...]:
    """How the sentences of ``entry`` start. Raises KeyError where no table has it."""
    words = list(_OTHER_WORDS.get(entry, ()))
    words += [act.what.partition("{")[0] for act in tables.ACTS if act.event == entry and not words]
    # "exec" is both a module's name and a builtin's.
    if any(one.name == entry for one in (*tables.RESTRICTED_MODULES, *tables.PRIVATE_DOORS)):
        words += [f"Importing '{entry}'", f"Importing '{entry}."]
    if any(one.name == entry for one in (*tables.GUARDED_BUILTINS, *tables.LIBRARY_FUNCTIONS)):
        words.append(f"Calling {entry}()")
    if not words:
        raise KeyError(entry)
    return tuple(words)


def is_in_table(entry: str, policy: str) -> bool:
    """Whether the policy's tables refuse or judge ``entry`` under ``policy``."""
    entries = (
        *tables.RESTRICTED_MODULES,
        *tables.PRIVATE_DOORS,
        *tables.GUARDED_BUILTINS,
        *tables.LIBRARY_FUNCTIONS,
    )
    known = {(one.name, str(name)) for one in entries for name in one.policies}
    known |= {(act.event, str(name)) for act in tables.ACTS for name in act.policies}
    return (entry, policy) in known

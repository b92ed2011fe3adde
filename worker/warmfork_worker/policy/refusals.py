"""The sentences of refusals: one builder for each kind, so that all say the same things in the same order."""

from __future__ import annotations

import errno

from warmfork_worker.policy.tables import GUARDED_BUILTINS, PRIVATE_DOORS, RESTRICTED_MODULES, Entry

_MODULES = {entry.name: entry for entry in (*RESTRICTED_MODULES, *PRIVATE_DOORS)}
_BUILTINS = {entry.name: entry for entry in GUARDED_BUILTINS}


def restricted_entry(name: str) -> Entry | None:
    """The table entry that restricts the module ``name`` (itself or a parent package of it), or None."""
    entry = _MODULES.get(name)
    while entry is None and "." in name:
        name = name.rpartition(".")[0]
        entry = _MODULES.get(name)
    return entry


def restricted_message(name: str, entry: Entry) -> str:
    """The contract's sentence about ``name``, then the entry's hint."""
    return _join(f"Importing {name!r} is not allowed in the code sandbox.", entry.hint)


def import_refused(name: str, entry: Entry) -> ImportError:
    """The error for importing ``name``."""
    return ImportError(restricted_message(name, entry), name=name)


def builtin_refused(name: str) -> PermissionError:
    """The error for calling the builtin ``name``."""
    return refused(f"Calling {name}()", _BUILTINS[name].hint)


def refused(what: str, hint: str = "") -> PermissionError:
    """``what`` is not allowed; ``hint`` says what works.

    ``errno`` is set for code that looks at it, without the text, so that the message stays the sentence alone.
    """
    error = PermissionError(_join(f"{what} is not allowed in the code sandbox.", hint))
    error.errno = errno.EACCES
    return error


def _join(sentence: str, hint: str) -> str:
    return f"{sentence} {hint}" if hint else sentence

"""How one setting is declared: a dataclass field that carries its own row of the table."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "bool", "integer", "number", "size", "choice", "path", "group", "user", "module", "endpoint", "loopback", "weight"
]


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration.

    Attributes:
        key: dotted name (``"limits.timeout_s"``); without a dot for a top-level key.
        kind: what one value is; decides how text is read and which words describe it.
        default: the value where no layer gives one.
        help: one sentence for flags, the manual and the rendered file.
        minimum, maximum: inclusive bounds of numbers and sizes, in ``unit``; None where the kind has none.
        choices: the words allowed, for kind ``choice``.
        unit: unit of the number, as it is written in messages (``"s"``); empty for counts and words.
        many: True where the value is a list of ``kind``.
    """

    key: str
    kind: Kind
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    many: bool = False

    @property
    def environment_name(self) -> str:
        """``limits.timeout_s`` -> ``WARMFORK_LIMITS_TIMEOUT_S``."""
        return "WARMFORK_" + self.key.replace(".", "_").upper()

    @property
    def flag(self) -> str:
        """``limits.timeout_s`` -> ``--limits-timeout-s``."""
        return "--" + self.key.replace(".", "-").replace("_", "-")


def setting(
    kind: Kind,
    default: object,
    help: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    many: bool = False,
) -> Any:
    """A dataclass field that carries its own row of the table; typed Any so that the annotation beside it rules."""
    row = Setting("", kind, default, help, least, most, choices, unit, many)
    return dataclasses.field(default=default, metadata={"setting": row})

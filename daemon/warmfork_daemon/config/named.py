"""Named templates: the sections ``[templates.NAME]``, as many as an operator writes, in the file or by the program alone.

Their keys are declared like every other setting; the rows of the table stand for all names at once.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from warmfork_daemon.config.declare import Setting
from warmfork_daemon.config.declare import setting as _setting
from warmfork_daemon.config.settings import Config, _rows, value_of

TemplateBase = Literal["science", "none"]
TEMPLATE_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PREFIX: Final = "templates.NAME."
_KNOWN: Final = {"light": {"templates.light.base": "none"}}
"""What a private daemon is told of a template that no file describes."""


@dataclass(frozen=True, slots=True)
class NamedTemplateSettings:
    """A further template, ``[templates.NAME]``: a process of its own beside the default one."""

    base: TemplateBase = _setting(  # it makes a dataclasses.field  # noqa: RUF009
        "choice",
        "science",
        "What is preloaded before the modules of preload: science, the libraries of charts and tables; none, the"
        " standard library alone.",
        choices=("science", "none"),
    )
    python: str = _setting("path", "", "Interpreter of the template; empty means the daemon's own.")
    preload: tuple[str, ...] = _setting("module", (), "Modules to preload besides those of base.", many=True)
    rehearse: bool = _setting(
        "bool", True, "Draw one figure of each common kind in the template, where matplotlib is preloaded."
    )
    font_dirs: tuple[str, ...] = _setting(
        "path", (), "Directories with further fonts, searched before those of template.font_dirs.", many=True
    )
    start_timeout_s: float = _setting(
        "number", 60.0, "Time the template has to report that it is ready.", least=1.0, most=3_600.0, unit="s"
    )
    idle_workers: int = _setting("integer", 1, "Workers kept forked ahead of its jobs.", least=1, most=1_024)


NAMED_TEMPLATE_SETTINGS: Final[tuple[Setting, ...]] = tuple(_rows(NamedTemplateSettings, _PREFIX))


def rows_of(name: str) -> tuple[Setting, ...]:
    """The rows of one template, each key with its name."""
    return tuple(
        dataclasses.replace(row, key=f"templates.{name}.{row.key.removeprefix(_PREFIX)}")
        for row in NAMED_TEMPLATE_SETTINGS
    )


def settings_of(config: Config, name: str) -> dict[str, Any]:
    """One template of ``config`` as ``load`` takes it in ``overrides``, for a daemon that reads no file.

    Where ``config`` does not describe it, ``light`` is the standard library alone, and any other name is nothing.
    """
    if name not in config.templates:
        return dict(_KNOWN.get(name, {}))
    return {row.key: value_of(config, row.key) for row in rows_of(name)}

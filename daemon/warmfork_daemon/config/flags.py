"""Flags for every setting, on an argparse parser."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Final

from warmfork_daemon.config.declare import Setting
from warmfork_daemon.config.load import FILE_VARIABLE, Given, load_with
from warmfork_daemon.config.settings import SETTINGS, Config
from warmfork_daemon.config.values import allowed

_FILE_DESTINATION: Final = "config_file"
_DESTINATION: Final = "setting:"
"""No command's own argument can be called this, so the two never meet in the namespace."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--config PATH`` and one flag per setting, grouped by section.

    Flags hold text; it is judged by ``load_from_arguments``, so that every refusal reads the same.
    """
    parser.add_argument(
        "--config",
        metavar="PATH",
        dest=_FILE_DESTINATION,
        default=None,
        help=f"configuration file (default: ${FILE_VARIABLE}, else ~/.config/warmfork/warmfork.toml,"
        " with --system /etc/warmfork/warmfork.toml)",
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for setting in SETTINGS:
        section = setting.key.rpartition(".")[0] or "daemon"
        if section not in groups:
            groups[section] = parser.add_argument_group(f"{section} settings")
        _add_flag(groups[section], setting)


def load_from_arguments(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Config:
    """The effective configuration of a parser that ``add_flags`` was called on.

    ``environ`` is ``os.environ`` where it is None. Raises ConfigError as ``load`` does.
    """
    given = vars(args)
    above = [
        Given(setting.key, given[_DESTINATION + setting.key], f"flag:{setting.flag}", as_text=True)
        for setting in SETTINGS
        if _DESTINATION + setting.key in given
    ]
    return load_with(path=given.get(_FILE_DESTINATION), environ=os.environ if environ is None else environ, above=above)


def _add_flag(group: argparse._ArgumentGroup, setting: Setting) -> None:
    # SUPPRESS leaves a flag that was not given out of the namespace: "not given" stays apart from every value.
    destination = _DESTINATION + setting.key
    text = f"{setting.help} Allowed: {allowed(setting)}.".replace("%", "%%")
    if setting.kind == "bool":
        group.add_argument(
            setting.flag, dest=destination, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
        return
    metavar = f"{setting.kind},…".upper() if setting.many else (setting.unit or setting.kind).upper()
    group.add_argument(setting.flag, dest=destination, metavar=metavar, default=argparse.SUPPRESS, help=text)

"""The daemon's configuration: one table of settings, four layers, one frozen result.

``settings`` is the table, with ``pooling`` and ``waiting``: every key with its kind, bounds and help. ``load`` lays
defaults, a TOML file, environment variables and flags over each other; ``values`` judges one value, ``relations`` judges
values against each other; ``render`` writes the effective configuration and the table of the manual; ``flags`` adds the
flags to a parser.
Nothing here touches a socket, creates a file or looks at the machine beyond paths and owners.
"""

from __future__ import annotations

from warmfork_daemon.config.declare import Setting
from warmfork_daemon.config.flags import add_flags, load_from_arguments
from warmfork_daemon.config.load import load
from warmfork_daemon.config.named import NamedTemplateSettings, settings_of
from warmfork_daemon.config.places import default_runtime_dir
from warmfork_daemon.config.pooling import PoolSettings
from warmfork_daemon.config.render import render_table, render_toml
from warmfork_daemon.config.settings import (
    ALWAYS_REQUIRED,
    SETTINGS,
    Config,
    LimitSettings,
    LogSettings,
    PolicyName,
    PolicySettings,
    ResultSettings,
    TcpSettings,
    TemplateSettings,
)
from warmfork_daemon.config.waiting import QueueSettings

__all__ = [
    "ALWAYS_REQUIRED",
    "SETTINGS",
    "Config",
    "LimitSettings",
    "LogSettings",
    "NamedTemplateSettings",
    "PolicyName",
    "PolicySettings",
    "PoolSettings",
    "QueueSettings",
    "ResultSettings",
    "Setting",
    "TcpSettings",
    "TemplateSettings",
    "add_flags",
    "default_runtime_dir",
    "load",
    "load_from_arguments",
    "render_table",
    "render_toml",
    "settings_of",
]

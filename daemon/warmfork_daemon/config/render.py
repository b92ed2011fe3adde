"""Write the configuration down: the effective one as TOML, the table of all settings for the manual."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from warmfork_daemon.config.declare import Setting
from warmfork_daemon.config.named import NAMED_TEMPLATE_SETTINGS, rows_of
from warmfork_daemon.config.settings import SETTINGS, Config, value_of
from warmfork_daemon.config.values import allowed, format_size

_TABLE_HEAD: Final = "| key | default | allowed | meaning |\n|---|---|---|---|"


def render_toml(config: Config) -> str:
    """The effective configuration as TOML that loads back to the same values.

    Above each key stand its meaning and what is allowed; behind it, where the value came from.
    """
    return "\n".join(_toml_lines(config)) + "\n"


def render_table() -> str:
    """All settings as a Markdown table, in the order of the file."""
    return "\n".join([_TABLE_HEAD, *(_table_row(setting) for setting in (*SETTINGS, *NAMED_TEMPLATE_SETTINGS))])


def _toml_lines(config: Config) -> Iterator[str]:
    yield "# Effective configuration of warmfork. Behind each value: where it came from."
    section = ""
    named = (row for name in config.templates for row in rows_of(name))
    for setting in (*SETTINGS, *named):
        above, _, name = setting.key.rpartition(".")
        yield ""
        if above != section:
            section = above
            yield f"[{section}]"
        yield f"# {setting.help} Allowed: {allowed(setting)}."
        origin = config.origins.get(setting.key, "default")
        yield f"{name} = {_toml_value(setting, value_of(config, setting.key))}  # {_one_line(origin)}"


def _table_row(setting: Setting) -> str:
    default = f"`{_toml_value(setting, setting.default)}`"
    return f"| `{setting.key}` | {default} | {allowed(setting)} | {setting.help} |"


def _toml_value(setting: Setting, value: Any) -> str:
    if setting.many:
        return "[" + ", ".join(_toml_text(item) for item in value) + "]"
    if setting.kind == "size":
        return _toml_text(format_size(value))
    if setting.kind == "bool":
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else _toml_text(value)


def _toml_text(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's; values hold printable characters only, so no others occur."""
    return json.dumps(text, ensure_ascii=False)


def _one_line(origin: str) -> str:
    """A path may hold a newline, a comment may not."""
    return "".join(char if char.isprintable() else "?" for char in origin)

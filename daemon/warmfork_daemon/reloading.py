"""What a new configuration changes, and which of it needs a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from warmfork_daemon.config import Config
from warmfork_daemon.config.settings import SETTINGS, value_of

# What is bound, opened or sized once when the daemon starts.
_AT_START: Final = (
    *("system", "runtime_dir", "endpoints", "key_file", "socket_group", "tcp.server_key_file"),
    *("log.level", "log.format", "metrics.", "service."),
)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a reload.

    Attributes:
        changed: keys whose new value is followed from now on.
        needs_restart: keys that changed and are followed only after a restart.
        renewed: templates of which a new generation comes up.
        removed: templates that are no longer there.
        admitted, shut_out: names of clients that may, and that may no longer, come in over TCP.
    """

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    renewed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    admitted: tuple[str, ...] = ()
    shut_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{what}: {', '.join(names)}"
            for what, names in (
                ("changed", self.changed),
                ("templates renewed", self.renewed),
                ("templates removed", self.removed),
                ("clients admitted", self.admitted),
                ("clients shut out", self.shut_out),
                ("only after a restart", self.needs_restart),
            )
            if names
        ]
        return "; ".join(parts) or "nothing changed"


def compare(old: Config, new: Config) -> Reloaded:
    """The settings that differ, told apart by when they are followed; templates are the pools' word."""
    differing = [row.key for row in SETTINGS if value_of(old, row.key) != value_of(new, row.key)]
    at_start = tuple(key for key in differing if key.startswith(_AT_START))
    names = {*old.templates, *new.templates}
    named = [f"templates.{name}" for name in sorted(names) if old.templates.get(name) != new.templates.get(name)]
    return Reloaded(tuple(key for key in (*differing, *named) if key not in at_start), at_start)

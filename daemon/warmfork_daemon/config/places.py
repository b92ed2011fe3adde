"""Where the configuration file and the runtime directory are when nobody names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from warmfork.places import SYSTEM_RUNTIME_DIR, USER_RUNTIME_ROOT, user_runtime_dir

SYSTEM_FILE: Final = Path("/etc/warmfork/warmfork.toml")


def default_file(environ: Mapping[str, str], system: bool, *, system_file: Path = SYSTEM_FILE) -> Path | None:
    """The file that is read when neither ``--config`` nor ``$WARMFORK_CONFIG`` names one; it need not exist."""
    if system:
        return system_file
    # A relative XDG directory is invalid and to be ignored, by the XDG base directory specification.
    home = environ.get("HOME", "")
    config_home = environ.get("XDG_CONFIG_HOME", "")
    if config_home.startswith("/"):
        return Path(config_home, "warmfork", "warmfork.toml")
    return Path(home, ".config", "warmfork", "warmfork.toml") if home.startswith("/") else None


def default_runtime_dir(environ: Mapping[str, str], system: bool, *, user_root: Path = USER_RUNTIME_ROOT) -> str:
    """The directory of socket, lock and key where ``runtime_dir`` is empty: the one where clients look."""
    return SYSTEM_RUNTIME_DIR if system else user_runtime_dir(environ, user_root=user_root)

"""Where the configuration file and the runtime directory are when nobody names them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SYSTEM_FILE: Final = Path("/etc/warmfork/warmfork.toml")
SYSTEM_RUNTIME_DIR: Final = "/run/warmfork"
USER_RUNTIME_ROOT: Final = Path("/run/user")


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
    """The directory of socket, lock and key where ``runtime_dir`` is empty. It is not created here.

    For a user: ``$XDG_RUNTIME_DIR/warmfork``; else ``/run/user/UID/warmfork`` where that user directory exists and is
    the caller's; else ``warmfork-UID`` in the temporary directory, whose owner the daemon must check itself.
    """
    if system:
        return SYSTEM_RUNTIME_DIR
    named = environ.get("XDG_RUNTIME_DIR", "")
    if named.startswith("/"):
        return os.path.join(named, "warmfork")
    user_id = os.getuid()
    of_user = user_root / str(user_id)
    if _is_own_directory(of_user, user_id):
        return str(of_user / "warmfork")
    return os.path.join(tempfile.gettempdir(), f"warmfork-{user_id}")


def _is_own_directory(path: Path, user_id: int) -> bool:
    try:
        return path.is_dir() and path.stat().st_uid == user_id
    except OSError:
        return False

"""Where a daemon and its key are, by agreement of client and daemon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "warmfork.sock"
KEY_FILE_NAME: Final = "key"
SYSTEM_RUNTIME_DIR: Final = "/run/warmfork"
IPC_PATH_BYTES_MAX: Final = 107  # sizeof(sun_path) - 1, unix(7)


def user_runtime_dir(environ: Mapping[str, str]) -> str:
    """The user's runtime directory for warmfork.

    ``$XDG_RUNTIME_DIR/warmfork``; without that variable ``/run/user/UID/warmfork`` where the system made one for this
    user, else ``warmfork-UID`` in ``$TMPDIR`` or ``/tmp``.
    """
    base = environ.get("XDG_RUNTIME_DIR", "")
    if base:
        return os.path.join(base, "warmfork")
    by_login = f"/run/user/{os.getuid()}"
    if os.path.isdir(by_login) and os.stat(by_login).st_uid == os.getuid():
        return os.path.join(by_login, "warmfork")
    return os.path.join(environ.get("TMPDIR") or "/tmp", f"warmfork-{os.getuid()}")


def address_of(runtime_dir: str | Path) -> str:
    """The ZeroMQ address of the daemon that serves this runtime directory."""
    return f"ipc://{Path(runtime_dir) / SOCKET_NAME}"


def candidate_addresses(address: str | None, environ: Mapping[str, str]) -> list[str]:
    """Where to look for a daemon, in order: ``address``, else ``$WARMFORK_ADDRESS``, else the user's, then the system's."""
    if address:
        return [address]
    if environ.get("WARMFORK_ADDRESS"):
        return [environ["WARMFORK_ADDRESS"]]
    return [address_of(user_runtime_dir(environ)), address_of(SYSTEM_RUNTIME_DIR)]


def key_path(address: str, key_file: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """Where the key of the daemon at ``address`` is: ``key_file``, ``$WARMFORK_KEY_FILE``, else beside the socket."""
    if key_file:
        return Path(key_file)
    if environ.get("WARMFORK_KEY_FILE"):
        return Path(environ["WARMFORK_KEY_FILE"])
    if address.startswith("ipc://"):
        return Path(address.removeprefix("ipc://")).parent / KEY_FILE_NAME
    return None

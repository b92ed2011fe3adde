"""Where a daemon and its key are, by agreement of client and daemon."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "warmfork.sock"
KEY_FILE_NAME: Final = "key"
SYSTEM_RUNTIME_DIR: Final = "/run/warmfork"
USER_RUNTIME_ROOT: Final = Path("/run/user")
IPC_PATH_BYTES_MAX: Final = 107  # sizeof(sun_path) - 1, unix(7)


def user_runtime_dir(environ: Mapping[str, str], *, user_root: Path = USER_RUNTIME_ROOT) -> str:
    """The user's runtime directory for warmfork; client and daemon must agree on it. It is not created here.

    ``$XDG_RUNTIME_DIR/warmfork``; else ``/run/user/UID/warmfork`` where that user directory exists and is the caller's;
    else ``warmfork-UID`` in the temporary directory, whose owner the daemon checks itself.
    """
    named = environ.get("XDG_RUNTIME_DIR", "")
    if named.startswith("/"):  # a relative one is invalid and to be ignored, by the XDG base directory specification
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


def _may_be_trusted(runtime_dir: str) -> bool:
    """False where somebody else put a directory in the place of ours: code and trust would go to his daemon."""
    try:
        facts = os.lstat(runtime_dir)
    except OSError:
        return True  # there is nothing, so nothing answers
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


def address_of(runtime_dir: str | Path) -> str:
    """The ZeroMQ address of the daemon that serves this runtime directory."""
    return f"ipc://{Path(runtime_dir) / SOCKET_NAME}"


def candidate_addresses(address: str | None, environ: Mapping[str, str]) -> list[str]:
    """Where to look for a daemon, in order: ``address``, else ``$WARMFORK_ADDRESS``, else the user's, then the system's."""
    if address:
        return [address]
    if environ.get("WARMFORK_ADDRESS"):
        return [environ["WARMFORK_ADDRESS"]]
    own = user_runtime_dir(environ)
    return [*([address_of(own)] if _may_be_trusted(own) else []), address_of(SYSTEM_RUNTIME_DIR)]


def key_path(address: str, key_file: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """Where the key of the daemon at ``address`` is: ``key_file``, ``$WARMFORK_KEY_FILE``, else beside the socket."""
    if key_file:
        return Path(key_file)
    if environ.get("WARMFORK_KEY_FILE"):
        return Path(environ["WARMFORK_KEY_FILE"])
    if address.startswith("ipc://"):
        return Path(address.removeprefix("ipc://")).parent / KEY_FILE_NAME
    return None


def server_key_places(
    server_key: str | None,
    server_key_file: str | Path | None,
    client_key_file: str | Path | None,
    environ: Mapping[str, str],
) -> tuple[str | None, str | Path | None, str | Path | None]:
    """What TCP needs: the daemon's public key or the file with it, and the file with the client's own pair.

    What is given wins over ``$WARMFORK_SERVER_KEY``, ``$WARMFORK_SERVER_KEY_FILE`` and ``$WARMFORK_CLIENT_KEY_FILE``.
    """
    if not server_key and not server_key_file:
        server_key = environ.get("WARMFORK_SERVER_KEY") or None
        server_key_file = environ.get("WARMFORK_SERVER_KEY_FILE") or None
    return server_key, server_key_file, client_key_file or environ.get("WARMFORK_CLIENT_KEY_FILE") or None

"""Sockets that systemd listened on before the daemon was there (sd_listen_fds(3)); ZeroMQ takes them as ``USE_FD``."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from warmfork.errors import ConfigError

FIRST_FD: Final = 3
LISTEN_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def take_activated(environ: MutableMapping[str, str]) -> dict[str, int]:
    """The descriptors of listening sockets by their address (``ipc://PATH``); empty where none were passed to us.

    The variables are gone from ``environ`` afterwards, and the descriptors go to no child.

    Raises:
        ConfigError: one is no listening Unix stream socket; whoever wrote the socket unit means something else.
    """
    count, pid, _ = (environ.pop(name, "") for name in LISTEN_VARIABLES)
    if pid != str(os.getpid()) or not count.isdigit():
        return {}
    found: dict[str, int] = {}
    for fd in range(FIRST_FD, FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        found[_address_of(fd)] = fd
    return found


def _address_of(fd: int) -> str:
    with socket.socket(fileno=os.dup(fd)) as passed:
        name = passed.getsockname()
        listens = (
            passed.family == socket.AF_UNIX
            and passed.type == socket.SOCK_STREAM
            and bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        )
    if not listens or not isinstance(name, str) or not name.startswith("/"):
        raise ConfigError(f"the socket unit passed {name!r}; expected ListenStream= with an absolute path")
    return f"ipc://{name}"

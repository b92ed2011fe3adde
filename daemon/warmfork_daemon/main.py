"""Serving: locks, key, signals, the supervisor, and leaving in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping

from warmfork.errors import ConfigError
from warmfork_daemon import hardening
from warmfork_daemon.config import Config
from warmfork_daemon.config.places import default_runtime_dir
from warmfork_daemon.frontend import group_id_of
from warmfork_daemon.resolve import resolved
from warmfork_daemon.runtime_dir import RuntimeDirectory
from warmfork_daemon.supervisor import Supervisor, new_instance

log = logging.getLogger("warmfork")


def serve(config: Config, environ: Mapping[str, str] = os.environ) -> int:
    """Serve in the foreground until SIGTERM or SIGINT; returns 0.

    Raises:
        AlreadyServing: another daemon holds the runtime directory.
        ConfigError, KeyUnavailable: a setting cannot be followed on this machine.
        EmbeddedStartFailed: the template did not come up.
    """
    logging.basicConfig(level=config.log.level.upper(), format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    group_id = group_id_of(config.socket_group)
    if group_id is None and config.system:
        group_id = os.getegid()  # the service's own group is who may use it
    hardening.refuse_dumps()
    directory = RuntimeDirectory(
        config.runtime_dir or default_runtime_dir(environ, config.system), system=config.system
    )
    try:
        if config.system and group_id is not None:
            _open_to_group(directory, group_id)
        key = directory.key(config.key_file, group_id)
        supervisor = Supervisor(
            resolved(config), directory, key, environ=environ, group_id=group_id, instance=new_instance(environ)
        )
        signal_ends = with_signals(supervisor)
        supervisor.run()
        del signal_ends
    finally:
        directory.close()
    return 0


def _open_to_group(directory: RuntimeDirectory, group_id: int) -> None:
    """Let the socket's group into the directory (0750), or the socket's own mode would be of no use to it."""
    try:
        os.chown(directory.path, -1, group_id)
    except OSError as problem:
        raise ConfigError(f"runtime_dir = {str(directory.path)!r} cannot be given to the group: {problem}") from None


def with_signals(supervisor: Supervisor) -> list[socket.socket]:
    """Let SIGTERM, SIGINT and SIGHUP stop the supervisor: the handlers only queue a byte, the loop acts.

    Returns:
        What must live as long as the process may be signalled.
    """
    wake, woken = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    def act() -> None:
        woken.recv(64)
        supervisor.stop()

    supervisor.reactor.watch(woken.fileno(), act)
    return [wake, woken]

"""Serving: locks, key, signals, the supervisor, and leaving in order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Final

from warmfork.errors import ConfigError, RequestRefused
from warmfork_daemon import descriptors, hardening, logs
from warmfork_daemon.activation import take_activated
from warmfork_daemon.cgroups import JobCgroups
from warmfork_daemon.config import Config
from warmfork_daemon.config.places import default_runtime_dir
from warmfork_daemon.frontend import group_id_of
from warmfork_daemon.logs import told
from warmfork_daemon.notify import Notifier, ServiceReporter
from warmfork_daemon.resolve import new_instance, resolved
from warmfork_daemon.runtime_dir import RuntimeDirectory
from warmfork_daemon.supervisor import Supervisor

log = logging.getLogger("warmfork")

KEY_CREDENTIAL: Final = "warmfork.key"
"""Name of the systemd credential that holds the signing key."""


def serve(
    config: Config, environ: MutableMapping[str, str] = os.environ, load_config: Callable[[], Config] | None = None
) -> int:
    """Serve in the foreground until SIGTERM or SIGINT; returns 0.

    Args:
        config: what to serve by.
        environ: the daemon's environment.
        load_config: reads the same configuration anew, at SIGHUP and ``warmfork reload``.

    Raises:
        AlreadyServing: another daemon holds the runtime directory.
        ConfigError, KeyUnavailable: a setting cannot be followed on this machine.
        EmbeddedStartFailed: the template did not come up.
    """
    logs.leave_out_what_no_line_has()
    logs.configure(config.log.level, config.log.format, environ=environ)
    notifier, activated = Notifier.from_environment(environ), take_activated(environ)
    group_id = group_id_of(config.socket_group)
    if group_id is None and config.system:
        group_id = os.getegid()  # the service's own group is who may use it
    hardening.refuse_dumps()
    descriptors.raise_limit()
    directory = RuntimeDirectory(
        config.runtime_dir or default_runtime_dir(environ, config.system),
        system=config.system,
        keep_socket=bool(activated),
    )
    try:
        if config.system and group_id is not None:
            _open_to_group(directory, group_id)
        key = _key_of(config, directory, environ, group_id)
        cgroups = JobCgroups.enter(wanted=config.service.job_cgroups)
        if cgroups.status()["active"]:  # where they are not, status says why
            log.info("cgroups for jobs", extra=told(**cgroups.status()))
        supervisor = Supervisor(
            resolved(config),
            directory,
            key,
            environ=environ,
            group_id=group_id,
            instance=new_instance(environ),
            cgroups=cgroups,
            activated=activated,
        )
        reporter = ServiceReporter(supervisor.reactor, notifier, supervisor.summary, supervisor.template_answers)
        supervisor.on_serving, supervisor.on_stopping = reporter.serving, reporter.stopping
        supervisor.on_reloading, supervisor.on_reloaded = reporter.reloading, reporter.reloaded
        supervisor.load_config = load_config
        signal_ends = with_signals(supervisor)
        supervisor.run()
        del signal_ends
    finally:
        directory.close()
        notifier.close()
    return 0


def _key_of(config: Config, directory: RuntimeDirectory, environ: Mapping[str, str], group_id: int | None) -> bytes:
    """The signing key: of the file that is configured, else the service manager's credential, else one of our own."""
    credential = None if config.key_file else _credential(environ)
    if credential is not None:
        return directory.publish_key(credential, group_id)
    return directory.key(config.key_file, group_id)


def _credential(environ: Mapping[str, str]) -> Path | None:
    """The credential with the key; None where the service manager passed none."""
    path = Path(environ.get("CREDENTIALS_DIRECTORY", ""), KEY_CREDENTIAL)
    try:
        os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as problem:  # in a container systemd may be unable to mount what it made: nothing is passed then
        log.warning("credentials cannot be read; going on without", extra=told(problem=problem))
        return None
    return path if path.is_absolute() else None


def _open_to_group(directory: RuntimeDirectory, group_id: int) -> None:
    """Let the socket's group into the directory (0750), or the socket's own mode would be of no use to it."""
    try:
        os.chown(directory.path, -1, group_id)
    except OSError as problem:
        raise ConfigError(f"runtime_dir = {str(directory.path)!r} cannot be given to the group: {problem}") from None


def with_signals(supervisor: Supervisor) -> list[socket.socket]:
    """Let SIGTERM and SIGINT stop the supervisor and SIGHUP reload it: the handlers only queue a byte, the loop acts.

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
        for number in woken.recv(64):
            if number == signal.SIGHUP and supervisor.load_config is not None:
                with contextlib.suppress(RequestRefused):  # which the supervisor has logged
                    supervisor.reload()
            else:
                supervisor.drain()

    supervisor.reactor.watch(woken.fileno(), act)
    return [wake, woken]

"""Who may come in over TCP: the daemon's own CURVE keys, read at start, and the clients' public keys, also at each reload."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import zmq

from warmfork import curve
from warmfork.errors import ConfigError, KeyUnavailable
from warmfork_daemon.config import Config

TCP: Final = "tcp://"


@dataclass(frozen=True, slots=True)
class TcpAccess:
    """What the TCP endpoints of one daemon need.

    Attributes:
        public, secret: the daemon's keys, 40 characters each.
        names: name of each client that may come in, by its public key; never empty.
    """

    public: bytes
    secret: bytes = field(repr=False)
    names: Mapping[bytes, str]


def load_access(config: Config) -> TcpAccess | None:
    """The keys for the TCP endpoints of this configuration, None where it has none.

    Raises:
        ConfigError: a key file or the directory of clients cannot be followed; the message says what to do.
    """
    if not any(address.startswith(TCP) for address in config.endpoints):
        return None
    if not zmq.has("curve"):
        raise ConfigError(
            "tcp:// endpoints need CURVE, and this ZeroMQ was built without it; use ipc://, or a pyzmq wheel"
        )
    try:
        public, secret = curve.read_key_pair(config.tcp.server_key_file)
    except KeyUnavailable as problem:
        raise ConfigError(
            f"tcp.server_key_file: {problem}. A pair is made by: warmfork keys server --out DIR"
        ) from None
    return TcpAccess(public, secret, _clients_in(Path(config.tcp.clients_dir)))


def access_now(access: TcpAccess | None, config: Config) -> TcpAccess | None:
    """Who may come in by this configuration while the daemon runs on; its own keys stay what they were.

    Args:
        access: as it was; None where the daemon does not listen on TCP.
        config: the new one.

    Raises:
        ConfigError: as ``load_access``.
    """
    if access is None:
        return load_access(config)  # to be judged now, and followed after a restart
    # A list that was taken away admits nobody: the port stays bound until a restart.
    return replace(access, names=_clients_in(Path(config.tcp.clients_dir)) if config.tcp.clients_dir else {})


def _clients_in(directory: Path) -> Mapping[bytes, str]:
    names: dict[bytes, str] = {}
    try:
        _check_owned(directory)
        found = sorted(path for path in directory.iterdir() if path.suffix == curve.PUBLIC_SUFFIX)
        for path in found:
            _check_owned(path)
            key = curve.read_public_key(path)
            if not curve.NAME.fullmatch(path.stem):
                raise ConfigError(f"tcp.clients_dir: {path.name!r} is no name for a client's key; rename it")
            if key in names:
                raise ConfigError(f"tcp.clients_dir: {names[key]!r} and {path.stem!r} hold the same key; remove one")
            names[key] = path.stem
    except OSError as problem:
        raise ConfigError(f"tcp.clients_dir = {str(directory)!r} cannot be read: {problem}") from None
    except KeyUnavailable as problem:
        raise ConfigError(f"tcp.clients_dir: {problem}") from None
    if not names:
        raise ConfigError(
            f"tcp.clients_dir = {str(directory)!r} holds no client's key (NAME.key), so nobody could come in; make one "
            "by: warmfork keys client --out DIR --name NAME, and put NAME.key there"
        )
    return MappingProxyType(names)


def _check_owned(path: Path) -> None:
    """Whoever can write here decides who may run code: only the daemon's user and root may."""
    facts = path.stat()
    if facts.st_uid not in (0, os.geteuid()) or stat.S_IMODE(facts.st_mode) & 0o022:
        raise ConfigError(
            f"tcp.clients_dir: {path} can be written by others than root and the daemon's user; give it to one of "
            "them and take the others' right to write (chmod go-w)"
        )

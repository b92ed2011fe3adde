"""What the configuration says about owners: their weights, and how much of the queue one of them may hold."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from types import MappingProxyType

from warmfork.errors import ConfigError
from warmfork_daemon.access import TCP, TcpAccess
from warmfork_daemon.config import Config
from warmfork_daemon.config.values import split_weight
from warmfork_daemon.job import Owner

_SHARE_OF_MANY = 0.5


def owner_share_of(config: Config) -> float:
    """The part of the queue that one owner may hold while it is alone; all of it where no other can come in."""
    if config.queue.owner_share:
        return config.queue.owner_share
    over_tcp = any(address.startswith(TCP) for address in config.endpoints)
    return _SHARE_OF_MANY if config.system or config.socket_group or over_tcp else 1.0


def weights_of(config: Config, access: TcpAccess | None) -> Mapping[Owner, float]:
    """Weight by owner, of those that ``tenants.weights`` names.

    Raises:
        ConfigError: there is no such user on this machine, or no such key in ``tcp.clients_dir``.
    """
    weights: dict[Owner, float] = {}
    keys = {} if access is None else {name: key.decode() for key, name in access.names.items()}
    for item in config.tenants.weights:
        name, weight = split_weight(item)
        key_name = name.removeprefix("key:")
        if key_name != name:
            if key_name not in keys:
                raise ConfigError(f"tenants.weights: {item!r}: tcp.clients_dir holds no key of the name {key_name!r}")
            owner: Owner = keys[key_name]
        else:
            owner = _uid_of(name, item)
        if owner in weights:
            raise ConfigError(f"tenants.weights: {item!r}: this owner has a weight already")
        weights[owner] = float(weight)
    return MappingProxyType(weights)


def _uid_of(name: str, item: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigError(f"tenants.weights: {item!r}: there is no user {name!r} on this machine") from None

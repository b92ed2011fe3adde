"""What the configuration says about owners and tenants: their weights, and how much of the queue one of them may hold."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Weights:
    """Turns for each turn of somebody of weight 1.

    Attributes:
        owners: by whom the kernel or a key proves; 1 for those not in it.
        tenants: by declared name, within whatever owner declares it; likewise.
    """

    owners: Mapping[Owner, float] = field(default_factory=dict)
    tenants: Mapping[str, float] = field(default_factory=dict)

    def of_owner(self, owner: Owner) -> float:
        """Of an owner."""
        return self.owners.get(owner, 1.0)

    def of_tenant(self, name: str) -> float:
        """Of a tenant."""
        return self.tenants.get(name, 1.0)


def weights_of(config: Config, access: TcpAccess | None) -> Weights:
    """What ``tenants.weights`` says.

    Raises:
        ConfigError: there is no such user on this machine, or no such key in ``tcp.clients_dir``; somebody is named twice.
    """
    weights: dict[Owner, float] = {}
    tenants: dict[str, float] = {}
    keys = {} if access is None else {name: key.decode() for key, name in access.names.items()}
    for item in config.tenants.weights:
        name, weight = split_weight(item)
        tenant = name.removeprefix("tenant:")
        if tenant != name:
            if tenant in tenants:
                raise ConfigError(f"tenants.weights: {item!r}: this tenant has a weight already")
            tenants[tenant] = float(weight)
            continue
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
    return Weights(MappingProxyType(weights), MappingProxyType(tenants))


def _uid_of(name: str, item: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigError(f"tenants.weights: {item!r}: there is no user {name!r} on this machine") from None

"""Weights and shares are read from the configuration for the owners they name."""

from __future__ import annotations

import os
import pwd
from types import MappingProxyType
from typing import Any

import pytest

from warmfork.errors import ConfigError
from warmfork_daemon.access import TcpAccess
from warmfork_daemon.config import Config, load
from warmfork_daemon.tenants import owner_share_of, weights_of

ACCESS = TcpAccess(b"p", b"s", MappingProxyType({b"A" * 40: "alice"}))
TCP: dict[str, Any] = {"endpoints": ["tcp://127.0.0.1:0"], "tcp.server_key_file": "/k", "tcp.clients_dir": "/c"}


def config_of(**overrides: Any) -> Config:
    return load(environ={}, overrides=overrides)


def test_weights_name_users_and_keys() -> None:
    """A number is a uid, a name a user of this machine, and key: a client's key."""
    me = pwd.getpwuid(os.getuid()).pw_name
    weights = weights_of(config_of(**{"tenants.weights": ["4711=2", f"{me}=3", "key:alice=4"]}), ACCESS)
    assert {4711: 2.0, os.getuid(): 3.0, "A" * 40: 4.0} == dict(weights.owners)
    assert (2.0, 1.0) == (weights.of_owner(4711), weights.of_owner(4712))


def test_weights_name_tenants() -> None:
    """tenant: and a name that anybody may declare; it takes no user and no key of that name."""
    weights = weights_of(config_of(**{"tenants.weights": ["tenant:reports=3", "4711=2"]}), None)
    assert ({"reports": 3.0}, {4711: 2.0}) == (dict(weights.tenants), dict(weights.owners))
    assert (3.0, 1.0) == (weights.of_tenant("reports"), weights.of_tenant(""))
    with pytest.raises(ConfigError, match="already"):
        weights_of(config_of(**{"tenants.weights": ["tenant:reports=3", "tenant:reports=2"]}), None)


@pytest.mark.parametrize("item", ["nobody-of-this-name=2", "key:bob=2"])
def test_unknown_owners_are_refused(item: str) -> None:
    """A name that names nobody is a mistake, and is told with its item."""
    with pytest.raises(ConfigError, match=item):
        weights_of(config_of(**{"tenants.weights": [item]}), ACCESS)


def test_one_owner_has_one_weight() -> None:
    """The same user twice is a contradiction."""
    me = pwd.getpwuid(os.getuid()).pw_name
    with pytest.raises(ConfigError, match="already"):
        weights_of(config_of(**{"tenants.weights": [f"{os.getuid()}=2", f"{me}=3"]}), None)


@pytest.mark.parametrize("item", ["alice", "alice=0", "alice=1001", "=2", "a b=2", "key:=2", "alice=-1", "alice=1.5"])
def test_what_is_no_weight_is_refused(item: str) -> None:
    """An owner, =, and a whole number from 1 to 1000."""
    with pytest.raises(ConfigError, match=r"tenants\.weights"):
        config_of(**{"tenants.weights": [item]})


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        ({}, 1.0),
        ({"socket_group": "agents"}, 0.5),
        ({"system": True}, 0.5),
        (TCP, 0.5),
        ({"queue.owner_share": 0.25}, 0.25),
        ({"system": True, "queue.owner_share": 1.0}, 1.0),
    ],
)
def test_share_of_an_owner(overrides: dict[str, Any], share: float) -> None:
    """Where nobody else can come in an owner may have it all; else half, unless the operator says otherwise."""
    assert share == owner_share_of(config_of(**overrides))

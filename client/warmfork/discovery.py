"""Which daemon, and with which key: the first address that answers, and the key that belongs to it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from warmfork.curve import ClientKeys, checked_key, read_key_pair, read_public_key
from warmfork.errors import DaemonUnreachable, KeyUnavailable
from warmfork.places import IPC_PATH_BYTES_MAX, candidate_addresses, key_path, server_key_places
from warmfork.wire.signature import KEY_BYTES

_TCP: Final = re.compile(r"tcp://[^\s/;]+:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a client was told about its daemon.

    Attributes:
        address: given, None to look for it.
        key: given, None to read it.
        key_file: given, None for the usual places.
        connect_timeout_s: how long each address has to answer hello.
        server_key, server_key_file, client_key_file: for TCP; given, None for the environment's.
    """

    address: str | None = None
    key: bytes | None = field(default=None, repr=False)
    key_file: str | Path | None = None
    connect_timeout_s: float = 1.0
    server_key: str | None = None
    server_key_file: str | Path | None = None
    client_key_file: str | Path | None = None

    def addresses(self, environ: Mapping[str, str] = os.environ) -> list[str]:
        """Where to ask, in order. Raises DaemonUnreachable for what cannot be an address of a daemon."""
        found = candidate_addresses(self.address, environ)
        for address in found:
            if _TCP.fullmatch(address):
                continue
            if not address.startswith("ipc:///"):
                raise DaemonUnreachable(
                    f"{address!r} is no address of a daemon; write ipc:// and an absolute path, such as "
                    "ipc:///run/warmfork/warmfork.sock, or tcp://host:port"
                )
            size = len(os.fsencode(address.removeprefix("ipc://")))
            if size > IPC_PATH_BYTES_MAX:
                raise DaemonUnreachable(
                    f"the address {address} has a path of {size} bytes and the kernel allows {IPC_PATH_BYTES_MAX}"
                )
        return found

    def key_for(self, address: str, environ: Mapping[str, str] = os.environ) -> bytes:
        """The key of the daemon at this address. Raises KeyUnavailable."""
        if self.key is not None:
            return self.key
        path = key_path(address, self.key_file, environ)
        if path is None:
            raise KeyUnavailable(f"no key for {address}: give key_file= or set WARMFORK_KEY_FILE")
        try:
            key = path.read_bytes()
        except OSError as problem:
            raise KeyUnavailable(
                f"the key of the daemon at {address} cannot be read: {problem}. Charts could not be verified; "
                "give key_file=, set WARMFORK_KEY_FILE, or join the group that may read it"
            ) from None
        if len(key) != KEY_BYTES:
            raise KeyUnavailable(f"the key file {path} holds {len(key)} bytes where {KEY_BYTES} are expected")
        return key

    def curve_for(self, address: str, environ: Mapping[str, str] = os.environ) -> ClientKeys | None:
        """The keys that a TCP address needs, None for ipc. Raises KeyUnavailable: without them nothing is ever sent."""
        if not address.startswith("tcp://"):
            return None
        server_key, server_file, client_file = server_key_places(
            self.server_key, self.server_key_file, self.client_key_file, environ
        )
        if not (server_key or server_file) or not client_file:
            raise KeyUnavailable(
                f"{address} needs CURVE keys: the daemon's public key (server_key=, server_key_file=, "
                "WARMFORK_SERVER_KEY or WARMFORK_SERVER_KEY_FILE) and this client's own (client_key_file= or "
                "WARMFORK_CLIENT_KEY_FILE; made by: warmfork keys client --out DIR --name NAME). Nothing was submitted"
            )
        server = checked_key(server_key, "server_key") if server_key else read_public_key(server_file or "")
        public, secret = read_key_pair(client_file)
        return ClientKeys(server, public, secret)

    def silence(self, curve: ClientKeys | None, waited_s: float) -> str:
        """What it may mean that nobody answered.

        Args:
            curve: the keys that were used.
            waited_s: for how long; less than the timeout where the connection ended before.
        """
        reason = f"no answer within {self.connect_timeout_s:g} s"
        if waited_s < self.connect_timeout_s:
            reason = "the connection ended before an answer came, as when a daemon stops or starts anew"
        if curve is None:
            return reason
        return (
            f"{reason}; a daemon answers over TCP only with the server key that belongs to it, and only clients whose "
            f"key is in its tcp.clients_dir; ours is {curve.public.decode()}"
        )


def nobody_listens(address: str) -> str:
    """Why nobody can be listening at an ipc address, empty when somebody may be: found out without waiting."""
    if not address.startswith("ipc://"):
        return ""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)
    try:
        probe.connect(address.removeprefix("ipc://"))
    except BlockingIOError:
        return ""  # a full backlog: it listens
    except OSError as problem:
        return str(problem.strerror or problem)
    finally:
        probe.close()
    return ""


def unreachable(tried: Mapping[str, str]) -> DaemonUnreachable:
    """The error that lists each address with what was wrong there."""
    listed = "; ".join(f"{address}: {reason}" for address, reason in tried.items())
    return DaemonUnreachable(
        f"no warmfork daemon answered ({listed}). Nothing was submitted. "
        "Start one with `warmfork serve`, or use `with warmfork.embedded() as client:`"
    )

"""The ROUTER sockets: frames in with who sent them, frames out to whom they are for.

One socket for each endpoint: ipc, where the socket file's mode decides who may connect and the kernel says who did, and
TCP, where CURVE keys do both. A socket has one of the two, and there is no third kind.
"""

from __future__ import annotations

import contextlib
import grp
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import zmq

from warmfork.curve import allow_ipv6, keep_checked
from warmfork.errors import ConfigError
from warmfork.sockets import readable, receive_now, send_now
from warmfork.wire import limits
from warmfork.wire.frames import Frames
from warmfork.wire.messages import encode_reply
from warmfork.wire.replies import CancelReply
from warmfork_daemon.access import TCP, TcpAccess
from warmfork_daemon.connections import Connections
from warmfork_daemon.outbox import Outbox, Sent
from warmfork_daemon.reactor import Reactor
from warmfork_daemon.zap import DOMAIN, Doorkeeper

__all__ = ["Frames", "Frontend", "Peer", "group_id_of"]

_MESSAGES_A_TURN: Final = 32
_QUEUED_MAX: Final = 64  # messages in ZeroMQ's queue of one peer; big ones are bounded in bytes by the outbox
_LINGER_MS: Final = 1_000
_HANDSHAKE_MS: Final = 5_000
_PEERS_MAX: Final = 1_024
_SOURCE_FD: Final = int(zmq.SRCFD)

_PROBE: Final = encode_reply(CancelReply(b"\xff" * limits.JOB_ID_BYTES, "unknown"))
"""A reply that nobody has asked for, which every client drops."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a message.

    Attributes:
        socket: the index of the ROUTER it came in by.
        routing_id: ZeroMQ's name for the connection; good for a reply, never to know a client by.
        uid, pid: by the kernel, from the ipc connection; -1 where the kernel does not tell, and over TCP.
        client: public key of a TCP peer, proved by CURVE; empty on ipc.
        name: what the operator calls that key.
        owner: whose jobs it may speak of: a user's on ipc, a key's over TCP.
    """

    socket: int
    routing_id: bytes
    uid: int
    pid: int
    client: str = ""
    name: str = ""
    owner: int | str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "owner", self.client or self.uid)


class Frontend:
    """All endpoints of the daemon.

    Args:
        context: ZeroMQ's.
        reactor: the event loop.
        on_message: called with sender and frames of each message.
        access: the keys for TCP; without them nothing is bound there.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        reactor: Reactor,
        on_message: Callable[[Peer, list[memoryview]], None],
        access: TcpAccess | None = None,
    ) -> None:
        self._context = context
        self._reactor = reactor
        self._on_message = on_message
        self._access = access
        self._sockets: list[zmq.Socket[Any]] = []
        self._activated: set[zmq.Socket[Any]] = set()
        self._heard_turns: dict[int, int] = {}
        self._peers: dict[tuple[int, bytes, str], Peer] = {}
        self._doorkeeper: Doorkeeper | None = None
        self.outbox = Outbox(reactor, self._transmit)
        self.connections = Connections(context, reactor)

    @property
    def access(self) -> TcpAccess | None:
        """Who may come in over TCP; None where nobody may."""
        return self._access

    def follow(self, access: TcpAccess | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Let in whom this list names from now on; nothing happens where there is no TCP, which is bound at the start.

        Whoever is not on it any more is not heard: the next message closes its connection.

        Returns:
            The names that are new, and those that are gone.
        """
        if self._access is None or access is None:
            return (), ()
        before, now = set(self._access.names.items()), set(access.names.items())
        self._access = replace(self._access, names=access.names)
        if self._doorkeeper is not None:
            self._doorkeeper.follow(access.names)
        return tuple(sorted(name for _, name in now - before)), tuple(sorted(name for _, name in before - now))

    @property
    def bound(self) -> bool:
        """True once it listens."""
        return bool(self._sockets)

    def bind(self, address: str, group_id: int | None, fd: int | None = None) -> str:
        """Listen, and return the address with the port that a port 0 became.

        Args:
            address: ``ipc://`` or ``tcp://``.
            group_id: gets an ipc socket with mode 0660; with None it is 0600.
            fd: of a socket that listens there already; whoever made it decided its mode, and removes its file.

        Raises:
            ConfigError: it cannot be had, or is TCP without keys.
        """
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, limits.PART_BYTES_MAX)
        socket.setsockopt(zmq.RCVHWM, 100)
        socket.setsockopt(zmq.SNDHWM, _QUEUED_MAX)
        socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        keep_checked(socket)
        self.connections.watch(socket)
        over_tcp = address.startswith(TCP)
        try:
            if over_tcp:
                self._bind_tcp(socket, address)
            else:
                _bind_ipc(socket, address, group_id, fd)
        except (zmq.ZMQError, OSError) as problem:
            socket.close(0)
            raise ConfigError(f"cannot listen on {address}: {problem}") from None
        except ConfigError:
            socket.close(0)
            raise
        index = len(self._sockets)
        self._sockets.append(socket)
        if fd is not None:
            self._activated.add(socket)
        self._reactor.watch_socket(socket, lambda: self._receive(index, socket, over_tcp))
        return str(socket.getsockopt_string(zmq.LAST_ENDPOINT)) if over_tcp else address

    def _bind_tcp(self, socket: zmq.Socket[Any], address: str) -> None:
        if self._access is None:
            raise ConfigError(f"cannot listen on {address}: TCP needs CURVE keys and a list of clients")
        if self._doorkeeper is None:
            self._doorkeeper = Doorkeeper(self._context, self._reactor, self._access)
        socket.curve_server = True
        socket.curve_publickey = self._access.public
        socket.curve_secretkey = self._access.secret
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        # Without it, ZeroMQ lets every key in where it finds no doorkeeper to ask.
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        allow_ipv6(socket, address)
        socket.bind(address)

    def _receive(self, index: int, socket: zmq.Socket[Any], over_tcp: bool) -> None:
        # To ask whether there is another message costs one that comes alone as much as to receive it.
        rush = self._heard_turns.get(index) == self._reactor.turns - 1
        self._heard_turns[index] = self._reactor.turns
        for _ in range(_MESSAGES_A_TURN if rush else 1):
            try:
                frames = receive_now(socket)
            except zmq.Again:
                return
            try:
                fd = int(frames[0].get(_SOURCE_FD))
                self.connections.heard(fd, (index, frames[0].bytes))
            except zmq.ZMQError:  # a connection that ended meanwhile has no descriptor any more
                fd = -1
            if len(frames) >= 2:
                peer = self._tcp_peer(index, frames[0]) if over_tcp else self._ipc_peer(index, frames[0])
                if peer is not None:
                    self._on_message(peer, [frame.buffer for frame in frames[1:]])
                else:
                    self.connections.shut(fd)
            # Asked beforehand, because an exception for "no more" costs more than the question.
            if not rush or not readable(socket):
                return

    def _ipc_peer(self, index: int, frame: zmq.Frame) -> Peer:
        # Only here: over TCP an IPv6 address could read like one with uid, gid and pid at its end.
        try:
            address = str(frame.get("Peer-Address"))
        except zmq.ZMQError:
            address = ""
        # With what the kernel says, because a peer chooses its routing id itself and can take another's that has gone.
        who = (index, frame.bytes, address)
        peer = self._peers.get(who)
        if peer is None:
            if len(self._peers) >= _PEERS_MAX:
                self._peers.clear()
            peer = self._peers[who] = Peer(index, frame.bytes, *_credentials(address))
        return peer

    def _tcp_peer(self, index: int, frame: zmq.Frame) -> Peer | None:
        """The peer whose key the doorkeeper let in; None where the key is not on the list any more."""
        assert self._access is not None
        try:
            key = str(frame.get("User-Id"))
        except zmq.ZMQError:
            return None
        name = self._access.names.get(key.encode())
        return None if name is None else Peer(index, frame.bytes, -1, -1, key, name)

    def send(self, peer: Peer, frames: Frames, instead: Callable[[], Frames] | None = None) -> bool:
        """Send a reply, now or when the peer takes it, within the bounds of the outbox.

        Args:
            peer: whom to.
            frames: the reply.
            instead: makes the short reply that goes out where there is no room to keep this one.

        Returns:
            False when the peer is gone; the reply is dropped then.
        """
        return self.outbox.send(peer, frames, instead)

    def send_now(self, peer: Peer, frames: Frames) -> bool:
        """Send something that may as well not arrive. False when the peer takes nothing more right now."""
        return self.outbox.send_now(peer, frames)

    def _transmit(self, peer: Peer, frames: Frames, big: bool) -> tuple[Sent, zmq.MessageTracker | None]:
        parts: list[Any] = [peer.routing_id, *frames]
        tracker = None
        if big:
            # The pipe is emptied in order: when the biggest part has left, there is little behind it.
            biggest = max(range(1, len(parts)), key=lambda index: len(parts[index]))
            parts[biggest] = zmq.Frame(parts[biggest], track=True, copy=False, copy_threshold=0)
            tracker = parts[biggest].tracker
        try:
            send_now(self._sockets[peer.socket], parts, copy=not big)
        except zmq.Again:
            return Sent.FULL, None
        except zmq.ZMQError:  # EHOSTUNREACH; ENOTSOCK once it is closed
            return Sent.GONE, None
        return Sent.YES, tracker

    def reaches(self, peer: Peer) -> bool:
        """False once the peer's connection has ended. A ROUTER tells it only by failing to send, so something is sent."""
        try:
            send_now(self._sockets[peer.socket], [peer.routing_id, *_PROBE])
        except zmq.ZMQError as problem:
            return problem.errno != zmq.EHOSTUNREACH
        return True

    def status(self) -> dict[str, int]:
        """Counts for ``status``."""
        return {
            "connections": len(self.connections),
            "connections_refused": self.connections.refused,
            "connections_cut": self.connections.cut,
            "unsent_replies": self.outbox.messages,
            "unsent_bytes": self.outbox.bytes,
            "dropped_replies": self.outbox.dropped,
        }

    def close(self) -> None:
        """Close every socket; replies already sent get a second to leave."""
        self.outbox.close()
        self.connections.close()
        for socket in self._sockets:
            self._reactor.unwatch_socket(socket)
            with contextlib.suppress(zmq.ZMQError):
                address = str(socket.getsockopt_string(zmq.LAST_ENDPOINT))
                socket.close()
                if not address.startswith(TCP) and socket not in self._activated:
                    with contextlib.suppress(OSError):
                        os.unlink(address.removeprefix("ipc://"))
        if self._doorkeeper is not None:
            self._doorkeeper.close()
            self._doorkeeper = None


def _bind_ipc(socket: zmq.Socket[Any], address: str, group_id: int | None, fd: int | None) -> None:
    path = address.removeprefix("ipc://")
    if fd is not None:
        socket.setsockopt(zmq.USE_FD, fd)
        socket.bind(address)
        return
    if _is_served(path):
        raise ConfigError(f"cannot listen on {address}: another process does")
    # The mode must hold from the first moment, not from the chmod on; the group gets in once it is the right one.
    umask = os.umask(0o177)
    try:
        socket.bind(address)
        if group_id is not None:
            os.chown(path, -1, group_id)
        os.chmod(path, 0o600 if group_id is None else 0o660)
    finally:
        os.umask(umask)


def _credentials(address: str) -> tuple[int, int]:
    """uid and pid of an ipc peer. ZeroMQ's "Peer-Address" of an ipc connection ends in ``:uid:gid:pid``."""
    try:
        _, uid, _, pid = address.rsplit(":", 3)
        return int(uid), int(pid)
    except ValueError:
        return -1, -1


def group_id_of(name: str) -> int | None:
    """The number of a group, None for an empty name. Raises ConfigError for an unknown one."""
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"socket_group = {name!r}: there is no such group on this machine") from None


def _is_served(path: str) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True

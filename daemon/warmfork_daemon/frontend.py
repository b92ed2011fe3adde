"""The ROUTER sockets: frames in with who sent them, frames out to whom they are for."""

from __future__ import annotations

import contextlib
import grp
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import zmq

from warmfork.errors import ConfigError
from warmfork.wire import limits
from warmfork_daemon.reactor import Reactor

_MESSAGES_A_TURN: Final = 32
_SMALL_BYTES: Final = 16 * limits.KIB
_LINGER_MS: Final = 1_000

Frames = Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a message.

    Attributes:
        socket: the index of the ROUTER it came in by.
        routing_id: ZeroMQ's name for the connection; good for a reply, never to know a client by.
        uid, pid: by the kernel, from the ipc connection; -1 where the kernel does not tell.
    """

    socket: int
    routing_id: bytes
    uid: int
    pid: int


class Frontend:
    """All endpoints of the daemon.

    Args:
        context: ZeroMQ's.
        reactor: the event loop.
        on_message: called with sender and frames of each message.
    """

    def __init__(
        self, context: zmq.Context[Any], reactor: Reactor, on_message: Callable[[Peer, list[memoryview]], None]
    ) -> None:
        self._context = context
        self._reactor = reactor
        self._on_message = on_message
        self._sockets: list[zmq.Socket[Any]] = []

    @property
    def bound(self) -> bool:
        """True once it listens."""
        return bool(self._sockets)

    def bind(self, address: str, group_id: int | None) -> None:
        """Listen on an ipc address, mode 0660, given to the group if there is one. Raises ConfigError."""
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, limits.PART_BYTES_MAX)
        socket.setsockopt(zmq.RCVHWM, 100)
        path = address.removeprefix("ipc://")
        if _is_served(path):
            socket.close(0)
            raise ConfigError(f"cannot listen on {address}: another process does")
        # The mode must hold from the first moment, not from the chmod on.
        umask = os.umask(0o117)
        try:
            socket.bind(address)
            if group_id is not None:
                os.chown(path, -1, group_id)
            os.chmod(path, 0o660)
        except (zmq.ZMQError, OSError) as problem:
            socket.close(0)
            raise ConfigError(f"cannot listen on {address}: {problem}") from None
        finally:
            os.umask(umask)
        index = len(self._sockets)
        self._sockets.append(socket)
        self._reactor.watch_socket(socket, lambda: self._receive(index, socket))

    def _receive(self, index: int, socket: zmq.Socket[Any]) -> None:
        for _ in range(_MESSAGES_A_TURN):
            try:
                frames: list[zmq.Frame] = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if len(frames) < 2:
                continue
            uid, pid = _credentials(frames[0])
            peer = Peer(index, frames[0].bytes, uid, pid)
            self._on_message(peer, [frame.buffer for frame in frames[1:]])

    def send(self, peer: Peer, frames: Frames) -> bool:
        """Send a reply. False when the peer is gone or takes nothing more; the reply is dropped then."""
        big = any(len(frame) > _SMALL_BYTES for frame in frames)
        try:
            self._sockets[peer.socket].send_multipart([peer.routing_id, *frames], zmq.NOBLOCK, copy=not big)
        except zmq.ZMQError:
            return False
        return True

    def close(self) -> None:
        """Close every socket; replies already sent get a second to leave."""
        for socket in self._sockets:
            self._reactor.unwatch_socket(socket)
            with contextlib.suppress(zmq.ZMQError):
                address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
                socket.close()
                with contextlib.suppress(OSError):
                    os.unlink(address.removeprefix("ipc://"))


def _credentials(frame: zmq.Frame) -> tuple[int, int]:
    """uid and pid of an ipc peer. ZeroMQ's "Peer-Address" of an ipc connection ends in ``:uid:gid:pid``."""
    try:
        address = str(frame.get("Peer-Address"))
        _, uid, _, pid = address.rsplit(":", 3)
        return int(uid), int(pid)
    except (zmq.ZMQError, ValueError):
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

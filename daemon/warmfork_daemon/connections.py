"""Connections as the kernel sees them: counted, limited, and closed where a peer piles up what nobody reads.

ZeroMQ accepts by itself whoever comes, as long as there are descriptors, and hands a message over only when its last
frame is there, however many come before it. Neither has a bound of ZeroMQ's own. Its monitor tells the descriptor of each
connection, which is one of this process: by it the peer's owner is known, what waits unread, and it can be shut down.

Every look at a descriptor goes through a duplicate of it: ZeroMQ's thread may close it at any moment, and a number that
was given to something else meanwhile must not be shut down in its place.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import logging
import os
import socket
import struct
import termios
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Final

import zmq

from warmfork_daemon import descriptors
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import Reactor, monotonic_s

log = logging.getLogger("warmfork.connections")

CONNECTIONS_MAX: Final = 8_192
OWNER_SHARE: Final = 0.75
"""Of all connections, what one user (or address, over TCP) may have."""

_EVENT: Final = struct.Struct("=Hi")
_CREDENTIALS: Final = struct.Struct("=iII")
_EVENTS_A_TURN: Final = 512
_ACCEPTED_UNSEEN_MAX: Final = 2_048
"""ZeroMQ waits once about so many events of its monitor are unread: no more connections can come in between two looks."""
_SILENT_S: Final = 0.5

Owner = int | str
PeerName = tuple[int, bytes]
"""Index of the ROUTER, and routing id."""


@dataclass(slots=True, eq=False)
class _Connection:
    """Attributes: owner: uid or address. heard_s: when it was made, or its last whole message came. name: the peer's."""

    fd: int
    local: Any
    owner: Owner
    heard_s: float
    name: PeerName | None = None


def connections_max(allowed: int) -> int:
    """How many connections there may be where this many descriptors are allowed."""
    spare = allowed - descriptors.RESERVED - _ACCEPTED_UNSEEN_MAX
    return max(8, min(CONNECTIONS_MAX, spare if spare > allowed // 4 else allowed // 4))


class Connections:
    """The accepted connections of all endpoints.

    Args:
        context: ZeroMQ's.
        reactor: the event loop.

    Attributes:
        refused: how many were closed because there were too many.
        cut: how many were closed because they piled up memory.
    """

    def __init__(self, context: zmq.Context[Any], reactor: Reactor) -> None:
        self._context = context
        self._reactor = reactor
        self._by_fd: dict[int, _Connection] = {}
        self._count_of: dict[Owner, int] = {}
        self._monitors: list[tuple[zmq.Socket[Any], zmq.Socket[Any]]] = []
        self.refused = 0
        self.cut = 0

    def __len__(self) -> int:
        return len(self._by_fd)

    def watch(self, router: zmq.Socket[Any]) -> None:
        """Take notice of the connections of a ROUTER, from before it is bound."""
        place = f"inproc://connections-{id(self)}-{len(self._monitors)}"
        router.monitor(place, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        monitor = self._context.socket(zmq.PAIR)
        monitor.setsockopt(zmq.LINGER, 0)
        monitor.connect(place)
        self._monitors.append((router, monitor))
        self._reactor.watch_socket(monitor, lambda: self._on_events(monitor))

    def heard(self, fd: int, name: PeerName) -> None:
        """A whole message of this peer came by the connection of this descriptor."""
        connection = self._by_fd.get(fd)
        if connection is not None:
            connection.heard_s, connection.name = monotonic_s(), name

    def _on_events(self, monitor: zmq.Socket[Any]) -> None:
        for _ in range(_EVENTS_A_TURN):
            try:
                event = monitor.recv_multipart(zmq.NOBLOCK)[0]
            except zmq.Again:
                return
            kind, fd = _EVENT.unpack(event)
            self._forget(fd)  # with its end, or where the end of the one before was not told
            if kind == zmq.EVENT_ACCEPTED:
                self._accepted(fd)

    def _forget(self, fd: int) -> None:
        connection = self._by_fd.pop(fd, None)
        if connection is not None:
            left = self._count_of[connection.owner] - 1
            self._count_of[connection.owner] = left
            if not left:
                del self._count_of[connection.owner]

    def _accepted(self, fd: int) -> None:
        with _duplicate(fd) as own:
            if own is None:
                return
            owner, local = _owner_of(own), own.getsockname()
            most = connections_max(descriptors.allowed())
            if len(self._by_fd) >= most or self._count_of.get(owner, 0) >= most * OWNER_SHARE:
                self.refused += 1
                log.warning(
                    "connection refused, there are too many", extra=told(owner=owner, connections=len(self._by_fd))
                )
                _shut(own)
                return
        self._by_fd[fd] = _Connection(fd, local, owner, monotonic_s())
        self._count_of[owner] = self._count_of.get(owner, 0) + 1

    def cut_silent(self, spared: Container[PeerName | None] = (), *, sending: bool = False) -> int:
        """Shut down connections that have not finished a message for a while.

        Args:
            spared: peers that are not.
            sending: only those that have something unread right now, whoever they are.

        Returns:
            How many.
        """
        now_s = monotonic_s()
        before = self.cut
        for connection in list(self._by_fd.values()):
            if now_s - connection.heard_s < _SILENT_S or connection.name in spared:
                continue
            with _duplicate(connection.fd) as own:
                if own is not None and _is_same(own, connection) and (not sending or _unread(own)):
                    self.cut += 1
                    log.warning(
                        "connection cut, unfinished messages fill the memory", extra=told(owner=connection.owner)
                    )
                    _shut(own)
        return self.cut - before

    def shut(self, fd: int) -> None:
        """Shut down the connection of this descriptor, if it is there still."""
        connection = self._by_fd.get(fd)
        with _duplicate(fd) as own:
            if own is not None and connection is not None and _is_same(own, connection):
                _shut(own)

    def close(self) -> None:
        """Take no notice any more."""
        for router, monitor in self._monitors:
            self._reactor.unwatch_socket(monitor)
            with contextlib.suppress(zmq.ZMQError):
                # ZeroMQ's thread holds a lock while it waits for room here, and the next call wants that lock.
                while True:
                    monitor.recv_multipart(zmq.NOBLOCK)
            with contextlib.suppress(zmq.ZMQError):
                router.disable_monitor()
            monitor.close(0)
        self._monitors.clear()


@contextlib.contextmanager
def _duplicate(fd: int) -> Iterator[socket.socket | None]:
    """A socket over a duplicate of a descriptor; None where it is gone, or none is to be had."""
    try:
        copy = os.dup(fd)
    except OSError:
        yield None
        return
    try:
        own = socket.socket(fileno=copy)
    except OSError:  # the connection has ended, and its number is a pipe's by now
        os.close(copy)
        yield None
        return
    with own:
        yield own


def _owner_of(own: socket.socket) -> Owner:
    try:
        if own.family == socket.AF_UNIX:
            raw = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            return int(_CREDENTIALS.unpack(raw)[1])
        return str(own.getpeername()[0])
    except OSError:
        return ""


def _is_same(own: socket.socket, connection: _Connection) -> bool:
    try:
        return bool(own.getsockname() == connection.local)
    except OSError:
        return False


def _unread(own: socket.socket) -> int:
    count = array.array("i", [0])
    try:
        fcntl.ioctl(own.fileno(), termios.FIONREAD, count)
    except OSError:
        return 0
    return count[0]


def _shut(own: socket.socket) -> None:
    with contextlib.suppress(OSError):
        own.shutdown(socket.SHUT_RDWR)

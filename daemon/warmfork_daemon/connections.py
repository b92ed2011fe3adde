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
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Any, Final

import zmq

from warmfork_daemon import descriptors
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
_LOOKS_A_RELEASE: Final = 40

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
                log.warning("a connection of %s was refused: there are %d", owner, len(self._by_fd))
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
                    log.warning("a connection of %s was cut: unfinished messages fill the memory", connection.owner)
                    _shut(own)
        return self.cut - before

    def close(self) -> None:
        """Take no notice any more."""
        for router, monitor in self._monitors:
            self._reactor.unwatch_socket(monitor)
            with contextlib.suppress(zmq.ZMQError):
                router.disable_monitor()
            monitor.close(0)
        self._monitors.clear()


@contextlib.contextmanager
def _duplicate(fd: int) -> Iterator[socket.socket | None]:
    """A socket over a duplicate of a descriptor; None where it is gone, or none is to be had."""
    try:
        own = socket.socket(fileno=os.dup(fd))
    except OSError:
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


class PileWatch:
    """Keeps unfinished messages from filling the memory: the process's own size, less what is accounted for, is bounded.

    Beyond the bound first those are cut that are sending; where nobody is seen to, those that wait for no job, who lose
    nothing by it but the unfinished message; beyond twice the bound, everybody who is silent.

    Args:
        reactor: the event loop.
        connections: to be cut.
        accounted: bytes that the daemon holds and knows of.
        waiting: the peers that wait for a job.
        excess_max: bytes beyond those, and beyond what the process had at the start, that are let be.
    """

    INTERVAL_S: Final = 0.25

    def __init__(
        self,
        reactor: Reactor,
        connections: Connections,
        accounted: Callable[[], int],
        waiting: Callable[[], Container[PeerName | None]],
        excess_max: int,
    ) -> None:
        self._reactor = reactor
        self._connections = connections
        self._accounted = accounted
        self._waiting = waiting
        self._excess_max = excess_max
        self._floor = resident_bytes()
        self._looks_in_vain = 0
        self._look_later()

    def _look_later(self) -> None:
        self._reactor.call_later(self.INTERVAL_S, self._look)

    def _look(self) -> None:
        excess = resident_bytes() - self._floor - self._accounted()
        if excess <= self._excess_max:
            self._looks_in_vain = 0
        elif not self._cut(excess):
            # Nobody piles up any more, and what is left is the allocator's.
            if self._looks_in_vain % _LOOKS_A_RELEASE == 1:
                release_memory()
            self._looks_in_vain += 1
        self._look_later()

    def _cut(self, excess: int) -> int:
        if excess > 2 * self._excess_max:
            return self._connections.cut_silent()
        return self._connections.cut_silent(sending=True) or self._connections.cut_silent(self._waiting())


def resident_bytes() -> int:
    """Resident memory of this process; 0 where it cannot be asked."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def release_memory() -> None:
    """Let the allocator give back what is free."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

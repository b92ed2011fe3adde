"""Connections are counted and limited, and a peer whose message never ends cannot fill the memory."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from warmfork_daemon import connections, descriptors
from warmfork_daemon.connections import PileWatch, connections_max
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.reactor import Reactor

GIVE_UP_S = 20.0
_READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER\x08Identity" + struct.pack(">I", 0)


class Desk:
    """A frontend, and peers that speak ZMTP by hand, as an attacker would."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "s")
        self.context: zmq.Context[Any] = zmq.Context()
        self.reactor = Reactor()
        self.came: list[list[bytes]] = []
        self.frontend = Frontend(self.context, self.reactor, self._take)
        self.frontend.bind(f"ipc://{self.path}", None)
        self.peers: list[socket.socket] = []

    def _take(self, peer: Peer, frames: list[memoryview]) -> None:
        self.came.append([bytes(frame) for frame in frames])

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(GIVE_UP_S)
        peer.connect(self.path)
        self.peers.append(peer)
        return peer

    def greet(self) -> socket.socket:
        """A connection that may send messages: NULL handshake done."""
        peer = self.connect()
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        peer.sendall(b"\x04" + bytes([len(_READY)]) + _READY)
        return peer

    def until(self, condition: Callable[[], object], what: str = "it") -> None:
        due_s = time.monotonic() + GIVE_UP_S
        while not condition():
            assert time.monotonic() < due_s, what
            self.reactor.call_later(0.01, lambda: None)
            self.reactor.turn()

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.frontend.close()
        self.context.term()
        self.reactor._epoll.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.close()


def has_ended(peer: socket.socket) -> bool:
    """True once the other end closed; reads away what it had said before."""
    peer.setblocking(False)
    try:
        while True:
            if not peer.recv(4_096):
                return True
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_connections_come_and_go(desk: Desk) -> None:
    """Each connection counts from its first moment, half-open or not, until it ends."""
    first, _ = desk.connect(), desk.greet()
    desk.until(lambda: len(desk.frontend.connections) == 2)
    first.close()
    desk.until(lambda: len(desk.frontend.connections) == 1)


def test_more_than_allowed_are_refused_and_the_others_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one user's connections those over its share are closed at once; when one leaves there is room again."""
    monkeypatch.setattr(connections, "connections_max", lambda allowed: 8)
    peers = [desk.greet() for _ in range(10)]
    desk.until(lambda: desk.frontend.connections.refused == 4)
    desk.until(lambda: sum(map(has_ended, peers)) == 4, "those over three quarters of 8 are closed")
    assert 6 == len(desk.frontend.connections)
    for peer in peers[:3]:
        peer.setblocking(True)
        peer.sendall(b"\x00\x02hi")
    desk.until(lambda: [[b"hi"]] * 3 == desk.came, "those within are served")
    peers[0].close()
    desk.until(lambda: len(desk.frontend.connections) == 5)
    late = desk.greet()
    late.sendall(b"\x00\x04late")
    desk.until(lambda: [b"late"] in desk.came)


def test_room_is_left_below_every_limit_of_descriptors() -> None:
    """Connections, those ZeroMQ may accept unseen, and the reserve fit into what the process may have open, where it is much."""
    for allowed in (4_096, 20_000, 1 << 20):
        unseen = connections._ACCEPTED_UNSEEN_MAX
        assert connections_max(allowed) + unseen + descriptors.RESERVED <= allowed
    assert (256, 8) == (connections_max(1_024), connections_max(16))


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_message_that_never_ends_is_cut_before_it_fills_the_memory(desk: Desk, size: int) -> None:
    """Frames without a last one, tiny or big, cost at most the bound and one interval; others stay connected."""
    bound = 64 << 20
    innocent, attacker = desk.greet(), desk.greet()
    innocent.sendall(b"\x00\x05hello")
    desk.until(lambda: desk.came)
    PileWatch(desk.reactor, desk.frontend.connections, lambda: 0, bound)
    before = connections.resident_bytes()
    frame = (b"\x03" + struct.pack(">Q", size) + bytes(size)) if size else b"\x01\x00" * 32_768
    peak = 0
    due_s = time.monotonic() + GIVE_UP_S
    while not desk.frontend.connections.cut:
        assert time.monotonic() < due_s
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            flood_once(attacker, frame)
        desk.reactor.call_later(0.001, lambda: None)
        desk.reactor.turn()
        peak = max(peak, connections.resident_bytes())
    desk.until(lambda: has_ended(attacker))
    assert not has_ended(innocent)
    assert bound < peak - before < bound + (2 << 30) * PileWatch.INTERVAL_S
    innocent.setblocking(True)
    innocent.sendall(b"\x00\x05again")
    desk.until(lambda: [b"again"] in desk.came)


def flood_once(peer: socket.socket, frame: bytes) -> None:
    """Send as much as the connection takes at once; a frame that was cut off is finished first thing next time."""
    peer.setblocking(True)
    peer.settimeout(1.0)
    with contextlib.suppress(TimeoutError):
        peer.sendall(frame)


def test_a_busy_honest_peer_is_not_cut(desk: Desk) -> None:
    """Whoever has just finished a message, or is silent, is left alone however little memory there is."""
    busy, idle = desk.greet(), desk.greet()
    PileWatch(desk.reactor, desk.frontend.connections, lambda: 0, -(1 << 40))
    due_s = time.monotonic() + 1.2
    while time.monotonic() < due_s:
        busy.setblocking(True)
        busy.sendall(b"\x00\x04work")
        desk.until(lambda: desk.came)
        desk.came.clear()
    assert 0 == desk.frontend.connections.cut
    assert not has_ended(idle)


def test_a_descriptor_given_to_something_else_is_not_shut(desk: Desk) -> None:
    """A number whose connection has gone, and which is another socket by now, is left alone."""
    desk.greet()
    desk.until(lambda: len(desk.frontend.connections) == 1)
    one, other = socket.socketpair()
    with one, other:
        other.send(b"unread")
        (connection,) = desk.frontend.connections._by_fd.values()
        connection.heard_s = 0.0
        connection.fd = one.fileno()
        assert 0 == desk.frontend.connections.cut_pilers()
        assert b"unread" == one.recv(16)
        one.send(b"alive")
        assert b"alive" == other.recv(16)


def test_workers_are_refused_before_the_reserve_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor near the limit is refused with a reason; one below it is not."""
    monkeypatch.setattr(descriptors, "allowed", lambda: 200)
    descriptors.refuse_reserved([10, 200 - descriptors.RESERVED - 1])
    with pytest.raises(OSError, match="kept for connections") as told:
        descriptors.refuse_reserved([200 - descriptors.RESERVED])
    assert os.strerror(told.value.errno or 0).startswith("Too many open files")

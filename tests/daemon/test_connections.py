"""Connections are counted and limited, and a peer whose message never ends cannot fill the memory."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from warmfork_daemon import connections, descriptors
from warmfork_daemon.connections import connections_max
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.pile_watch import PileWatch, resident_bytes
from warmfork_daemon.reactor import Reactor

GIVE_UP_S = 20.0
_READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER\x08Identity" + struct.pack(">I", 0)


class Desk:
    """A frontend, and peers that speak ZMTP by hand, as an attacker would."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "s")
        self.context: zmq.Context[Any] = zmq.Context()
        self.reactor = Reactor()
        self.came: list[tuple[Peer, list[bytes]]] = []
        self.frontend = Frontend(self.context, self.reactor, self._take)
        self.frontend.bind(f"ipc://{self.path}", None)
        self.peers: list[socket.socket] = []

    def _take(self, peer: Peer, frames: list[memoryview]) -> None:
        self.came.append((peer, [bytes(frame) for frame in frames]))

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
        # What is sent before ZeroMQ has answered may be lost.
        answered = b""
        while b"READY" not in answered:
            answered += peer.recv(4_096)
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
    desk.until(lambda: len(waiting_of(desk, b"hi")) == 3, "those within are served")
    peers[0].close()
    desk.until(lambda: len(desk.frontend.connections) == 5)
    late = desk.greet()
    late.sendall(b"\x00\x04late")
    desk.until(lambda: waiting_of(desk, b"late"))


def test_a_storm_while_the_loop_is_busy_is_bounded_and_ends_well(desk: Desk) -> None:
    """Unseen by the loop ZeroMQ accepts a bounded number of connections, which fit into what is left for them; closing with
    the events of all these unread does not hang.
    """
    before, pause = len(os.listdir("/proc/self/fd")), threading.Event()
    refused = 0
    while refused < 500:  # half a second in which nobody gets in any more
        peer = socket.socket(socket.AF_UNIX)
        peer.setblocking(False)
        try:
            peer.connect(desk.path)
        except BlockingIOError:  # the kernel's own queue is full, for now or for good
            peer.close()
            refused += 1
            pause.wait(0.001)
            continue
        desk.peers.append(peer)
        refused = 0
    accepted = len(os.listdir("/proc/self/fd")) - before - len(desk.peers)
    assert 1_500 < accepted <= connections._ACCEPTED_UNSEEN_MAX


def test_room_is_left_below_every_limit_of_descriptors() -> None:
    """Connections, those ZeroMQ may accept unseen, and the reserve fit into what the process may have open, where it is much."""
    for allowed in (4_096, 20_000, 1 << 20):
        unseen = connections._ACCEPTED_UNSEEN_MAX
        assert connections_max(allowed) + unseen + descriptors.RESERVED <= allowed
    assert (256, 8) == (connections_max(1_024), connections_max(16))


def waiting_of(desk: Desk, text: bytes) -> set[Any]:
    """The peer that has sent this, as one that waits for a job."""
    return {(peer.socket, peer.routing_id) for peer, frames in desk.came if frames == [text]}


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_message_that_never_ends_is_cut_before_it_fills_the_memory(desk: Desk, size: int) -> None:
    """Frames without a last one, tiny or big, cost at most the bound and one interval; who waits for a job stays."""
    bound = 256 << 20
    innocent, attacker = desk.greet(), desk.greet()
    innocent.sendall(b"\x00\x05hello")
    desk.until(lambda: desk.came)
    waiting = waiting_of(desk, b"hello")
    PileWatch(desk.reactor, desk.frontend.connections, lambda: 0, lambda: waiting, lambda: bound)
    before = peak = resident_bytes()
    frame = (b"\x03" + struct.pack(">Q", size) + bytes(size)) if size else b"\x01\x00" * 32_768
    due_s = time.monotonic() + GIVE_UP_S
    while not desk.frontend.connections.cut:
        assert time.monotonic() < due_s
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            attacker.sendall(frame)
        desk.reactor.call_later(0.001, lambda: None)
        desk.reactor.turn()
        peak = max(peak, resident_bytes())
    desk.until(lambda: has_ended(attacker))
    assert not has_ended(innocent)
    assert peak - before < bound + (2 << 30) * PileWatch.INTERVAL_S
    innocent.setblocking(True)
    innocent.sendall(b"\x00\x05again")
    desk.until(lambda: waiting_of(desk, b"again"))


def test_far_over_the_bound_nobody_silent_is_spared(desk: Desk) -> None:
    """An attacker who has submitted a job first is cut, too, before memory is gone; who has just sent something is not."""
    attacker, busy = desk.greet(), desk.greet()
    attacker.sendall(b"\x00\x03job")
    desk.until(lambda: desk.came)
    waiting = waiting_of(desk, b"job")
    accounted = [resident_bytes() - 3_000]
    watch = PileWatch(desk.reactor, desk.frontend.connections, lambda: accounted[0], lambda: waiting, lambda: 1_000)
    watch._floor = 0
    due_s = time.monotonic() + GIVE_UP_S
    while not desk.frontend.connections.cut:
        assert time.monotonic() < due_s
        busy.sendall(b"\x00\x04work")
        desk.reactor.call_later(0.01, lambda: None)
        desk.reactor.turn()
    desk.until(lambda: has_ended(attacker))
    assert (1, False) == (desk.frontend.connections.cut, has_ended(busy))


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
        assert 0 == desk.frontend.connections.cut_silent()
        assert b"unread" == one.recv(16)
        one.send(b"alive")
        assert b"alive" == other.recv(16)


def test_looking_at_what_is_no_connection_any_more_leaves_no_descriptor(desk: Desk) -> None:
    """The number of a connection that has ended may be a pipe's by the time that its event is read."""
    pipe = os.pipe()
    try:
        before = len(os.listdir("/proc/self/fd"))
        desk.frontend.connections.shut(pipe[0])
        assert before == len(os.listdir("/proc/self/fd"))
    finally:
        for fd in pipe:
            os.close(fd)


def test_workers_are_refused_before_the_reserve_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor near the limit is refused with a reason; one below it is not."""
    monkeypatch.setattr(descriptors, "allowed", lambda: 200)
    descriptors.refuse_reserved([10, 200 - descriptors.RESERVED - 1])
    with pytest.raises(OSError, match="kept for connections") as told:
        descriptors.refuse_reserved([200 - descriptors.RESERVED])
    assert os.strerror(told.value.errno or 0).startswith("Too many open files")

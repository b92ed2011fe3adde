"""The frontend listens closed to others, knows its ipc peers by the kernel, and no peer's frames hurt another."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.support import PACKAGE_PATHS

from warmfork.errors import AlreadyServing, ConfigError
from warmfork_daemon.frontend import Frontend, Peer, group_id_of
from warmfork_daemon.reactor import Reactor

GIVE_UP_S = 20.0
POLL_MS = int(GIVE_UP_S * 1000)
ENVIRONMENT = {"PYTHONPATH": PACKAGE_PATHS, "PATH": "/usr/bin:/bin"}


class Desk:
    """A frontend with what came in by it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.context: zmq.Context[Any] = zmq.Context()
        self.reactor = Reactor()
        self.frontend = Frontend(self.context, self.reactor, self._take)
        self.came: list[tuple[Peer, list[bytes]]] = []
        self.dealers: list[zmq.Socket[Any]] = []

    def _take(self, peer: Peer, frames: list[memoryview]) -> None:
        self.came.append((peer, [bytes(frame) for frame in frames]))

    def address(self, name: str = "s") -> str:
        return f"ipc://{self.directory}/{name}"

    def bind(self, name: str = "s", group_id: int | None = None) -> Path:
        self.frontend.bind(self.address(name), group_id)
        return self.directory / name

    def dealer(self, name: str = "s", routing_id: bytes | None = None) -> zmq.Socket[Any]:
        dealer: zmq.Socket[Any] = self.context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.SNDHWM, 0)
        if routing_id is not None:
            dealer.setsockopt(zmq.ROUTING_ID, routing_id)
        dealer.connect(self.address(name))
        self.dealers.append(dealer)
        return dealer

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Turn until it holds; the timer wakes the loop for conditions that no message brings about."""
        due_s = time.monotonic() + GIVE_UP_S
        while not condition():
            assert time.monotonic() < due_s, f"not within {GIVE_UP_S:g} s: {what}"
            self.reactor.call_later(0.01, lambda: None)
            self.reactor.turn()

    def until_came(self, count: int) -> None:
        self.until(lambda: len(self.came) >= count, f"{count} messages come")

    def close(self) -> None:
        for dealer in self.dealers:
            dealer.close(0)
        self.frontend.close()
        self.context.term()
        self.reactor._epoll.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.close()


def test_a_message_comes_with_its_frames_and_its_answer_goes_back(desk: Desk) -> None:
    """Frames arrive as they were sent, empty ones too; the reply reaches who asked and nobody else."""
    assert not desk.frontend.bound
    desk.bind()
    assert desk.frontend.bound
    one, other = desk.dealer(), desk.dealer()
    one.send_multipart([b"a", b"", b"c" * 100_000])
    other.send(b"hello")
    desk.until_came(2)
    peer, frames = next(came for came in desk.came if len(came[1]) == 3)
    assert [b"a", b"", b"c" * 100_000] == frames
    assert desk.frontend.send(peer, [b"small", memoryview(b"B" * 100_000)])
    assert one.poll(POLL_MS)
    assert [b"small", b"B" * 100_000] == one.recv_multipart()
    assert 0 == other.poll(20)


@pytest.mark.parametrize(("group_id", "mode"), [(None, 0o600), (os.getegid(), 0o660)])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_socket_is_closed_to_others_from_the_first_moment(
    desk: Desk, umask: int, group_id: int | None, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any chmod the socket is the owner's alone; then 0660 with a group, else 0600. The umask is as it was."""
    at_first: list[int] = []
    real_chmod = os.chmod

    def chmod(path: str, mode: int) -> None:
        at_first.append(stat.S_IMODE(os.stat(path).st_mode))
        real_chmod(path, mode)

    monkeypatch.setattr(os, "chmod", chmod)
    before = os.umask(umask)
    try:
        path = desk.bind(group_id=group_id)
    finally:
        after = os.umask(before)
    assert ([0o600], mode) == (at_first, stat.S_IMODE(path.stat().st_mode))
    assert umask == after


def test_the_group_gets_the_socket(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is set on the socket itself, the owner stays."""
    given: list[tuple[object, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.append((path, uid, gid)))
    path = desk.bind(group_id=4242)
    assert [(str(path), -1, 4242)] == given


@pytest.mark.parametrize("name", ["missing/s", "x" * 200, "."])
def test_an_address_that_cannot_be_had_is_named(desk: Desk, name: str) -> None:
    """The error is a ConfigError with the address; the umask is as it was and nothing listens."""
    before = os.umask(0o022)
    os.umask(before)
    with pytest.raises(ConfigError, match=f"cannot listen on {desk.address(name)}"):
        desk.bind(name)
    after = os.umask(before)
    assert (before, False) == (after, desk.frontend.bound)


def test_a_group_that_may_not_be_given_is_a_config_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is not in the group says so in a sentence."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(ConfigError, match="Operation not permitted"):
        desk.bind(group_id=4242)


def test_groups_by_name() -> None:
    """No name is no group, an unknown one is a ConfigError that names it."""
    group = grp.getgrgid(os.getgid())
    assert (None, group.gr_gid) == (group_id_of(""), group_id_of(group.gr_name))
    with pytest.raises(ConfigError, match="'no such group here'"):
        group_id_of("no such group here")


def test_own_credentials(desk: Desk) -> None:
    """An ipc peer's uid and pid come from the kernel, with every message of the connection, for any length of it."""
    desk.bind()
    dealer = desk.dealer()
    for frames in ([b"x"], [b"", b"y"], [b"z"] * 50):
        dealer.send_multipart(frames)
    desk.until_came(3)
    assert {(os.getuid(), os.getpid())} == {(peer.uid, peer.pid) for peer, _ in desk.came}
    assert 1 == len({peer.routing_id for peer, _ in desk.came})


_PEER = """
import os, sys, zmq
address = sys.argv[1]
with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
    if os.geteuid() == 0:
        os.chdir(os.path.dirname(address)); address = os.path.basename(address)
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    dealer.connect("ipc://" + address)
    dealer.send(b"it is I")
    print(os.getuid(), dealer.recv().decode())
"""


def test_credentials_of_another_process(desk: Desk) -> None:
    """Another process, as root's test of another user, is known by its own uid and pid."""
    path = desk.bind()
    if os.geteuid() == 0:
        path.chmod(0o666)
        path.parent.chmod(0o711)
    command = [sys.executable, "-c", _PEER, str(path)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            desk.until_came(1)
            uid = 65534 if os.geteuid() == 0 else os.geteuid()
            peer = desk.came[0][0]
            assert (uid, process.pid) == (peer.uid, peer.pid)
            assert desk.frontend.send(peer, [b"answer"])
            assert f"{uid} answer\n" == process.communicate(timeout=GIVE_UP_S)[0]
        finally:
            process.kill()


_STRANGER = """
import os, socket, sys
path, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.chdir(os.path.dirname(path))
os.setgroups([]); os.setgid(gid); os.setuid(uid)
with socket.socket(socket.AF_UNIX) as probe:
    try:
        probe.connect(os.path.basename(path))
        print("connected")
    except OSError as problem:
        print(type(problem).__name__)
"""
_GROUP_ID = 54_321


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("group_id", "uid", "gid", "expected"),
    [
        (None, 65_534, 65_534, "PermissionError"),
        (None, 65_534, 0, "PermissionError"),
        (None, 0, 0, "connected"),
        (_GROUP_ID, 65_534, 65_534, "PermissionError"),
        (_GROUP_ID, 65_534, 0, "PermissionError"),
        (_GROUP_ID, 65_534, _GROUP_ID, "connected"),
    ],
)
def test_who_can_connect(desk: Desk, group_id: int | None, uid: int, gid: int, expected: str) -> None:
    """By the socket's own mode: its user; its group where it was given one; nobody else, whatever the directory allows."""
    path = desk.bind(group_id=group_id)
    path.parent.chmod(0o711)
    command = [sys.executable, "-c", _STRANGER, str(path), str(uid), str(gid)]
    out = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=GIVE_UP_S)
    assert (expected + "\n", "") == (out.stdout, out.stderr)


def test_two_endpoints(desk: Desk) -> None:
    """Each peer is answered by the socket it came in by, though both have chosen the same routing id."""
    desk.bind("one")
    desk.bind("two")
    dealers = [desk.dealer(name, b"same") for name in ("one", "two")]
    for number, dealer in enumerate(dealers):
        dealer.send(b"%d" % number)
    desk.until_came(2)
    for peer, frames in desk.came:
        assert b"%d" % peer.socket == frames[0]
        assert desk.frontend.send(peer, [b"to ", frames[0]])
    for number, dealer in enumerate(dealers):
        assert dealer.poll(POLL_MS)
        assert [b"to ", b"%d" % number] == dealer.recv_multipart()


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_reply_to_a_peer_that_is_gone(desk: Desk, size: int) -> None:
    """It is dropped and said so, for short and long replies; others are answered as before."""
    desk.bind()
    leaving, staying = desk.dealer(), desk.dealer()
    leaving.send(b"leaving")
    staying.send(b"staying")
    desk.until_came(2)
    gone, there = (next(peer for peer, frames in desk.came if frames == [word]) for word in (b"leaving", b"staying"))
    leaving.close(0)
    desk.until(lambda: not desk.frontend.send(gone, [b"r" * size]), "sending to the peer that left fails")
    assert not desk.frontend.send(Peer(0, b"never was", 0, 0), [b"r" * size])
    assert desk.frontend.send(there, [b"r" * size])
    assert staying.poll(POLL_MS)
    assert b"r" * size == staying.recv()


def test_a_peer_that_reads_nothing_is_given_up(desk: Desk) -> None:
    """Sending never waits, what is kept for a peer that reads nothing is bounded, and others are answered."""
    desk.bind()
    deaf, hearing = desk.dealer(), desk.dealer()
    deaf.setsockopt(zmq.RCVHWM, 1)
    deaf.send(b"deaf")
    hearing.send(b"hearing")
    desk.until_came(2)
    stuffed, other = (next(peer for peer, frames in desk.came if frames == [word]) for word in (b"deaf", b"hearing"))
    for _ in range(25_000):
        assert desk.frontend.send(stuffed, [b"r" * 10_000])
    outbox = desk.frontend.outbox
    assert 20_000 == outbox.messages
    assert outbox.dropped + 20_000 <= 25_000
    assert desk.frontend.send(other, [b"still here"])
    assert hearing.poll(POLL_MS)
    assert b"still here" == hearing.recv()


@pytest.mark.parametrize(
    "garbage",
    [
        [b""],
        [b"", b""],
        [b"\x00" * 5],
        [b"x"] * 5_000,
        [b""] * 5_000,
        [b"\xff" * (8 << 20)],
    ],
    ids=["empty", "two empty", "zeros", "5,000 frames", "5,000 empty frames", "8 MiB"],
)
def test_garbage_is_a_message_like_any_other(desk: Desk, garbage: list[bytes]) -> None:
    """Odd frames come through whole and in order; another peer's message comes before and after them."""
    desk.bind()
    bad, good = desk.dealer(), desk.dealer()
    bad.send_multipart(garbage)
    good.send(b"first")
    desk.until_came(2)
    bad.send_multipart(garbage)
    good.send(b"second")
    desk.until_came(4)
    from_good = [frames for _, frames in desk.came if frames in ([b"first"], [b"second"])]
    assert [[b"first"], [b"second"]] == from_good
    assert [garbage, garbage] == [frames for _, frames in desk.came if frames not in from_good]
    peer = next(peer for peer, frames in desk.came if frames == [b"second"])
    assert desk.frontend.send(peer, [b"reply"])
    assert good.poll(POLL_MS)
    assert b"reply" == good.recv()


def test_one_turn_takes_a_bounded_number_of_messages(desk: Desk) -> None:
    """However many messages wait, timers and workers get their turn after 32 of them."""
    desk.bind()
    dealer = desk.dealer()
    for _ in range(2_000):
        dealer.send(b"x")
    taken: list[int] = []
    while sum(taken) < 2_000:
        before = len(desk.came)
        desk.reactor.call_later(GIVE_UP_S, lambda: pytest.fail("messages stopped coming"))
        desk.reactor.turn()
        taken.append(len(desk.came) - before)
    assert max(taken) <= 32


@pytest.mark.parametrize("names", [["s"], ["s", "other"]], ids=["one endpoint", "two"])
def test_a_rush_is_taken_many_at_a_time(desk: Desk, names: list[str]) -> None:
    """One message that comes alone is not asked about; of a rush a turn takes several, at each endpoint that has one."""
    for name in names:
        desk.bind(name)
    for dealer in [desk.dealer(name) for name in names]:
        for _ in range(320):
            dealer.send(b"x")
    most = dict.fromkeys(range(len(names)), 0)
    while len(desk.came) < 320 * len(names):
        before = len(desk.came)
        desk.until_came(before + 1)
        for index, count in Counter(peer.socket for peer, _ in desk.came[before:]).items():
            most[index] = max(most[index], count)
    assert all(2 <= count <= 32 for count in most.values())


def test_a_flood_leaves_room_for_others(desk: Desk) -> None:
    """While one peer has sent thousands of messages, another's is served among them and not after them."""
    desk.bind()
    flooding, waiting = desk.dealer(), desk.dealer()
    waiting.send(b"before")
    desk.until_came(1)
    for number in range(5_000):
        flooding.send(b"%d" % number)
    waiting.send(b"after")
    desk.until(lambda: any(frames == [b"after"] for _, frames in desk.came), "the other peer's message comes")
    desk.until_came(5_002)
    place = next(index for index, (_, frames) in enumerate(desk.came) if frames == [b"after"])
    assert place < 4_500
    numbers = [frames[0] for _, frames in desk.came if frames not in ([b"before"], [b"after"])]
    assert [b"%d" % number for number in range(5_000)] == numbers


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100_000,
        b"\0" * 64,
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL" + bytes(16) + b"\0" + bytes(31) + b"\x04\xff" * 100,
    ],
    ids=["nothing", "HTTP", "ones", "zeros", "broken handshake"],
)
def test_a_connection_that_is_no_zeromq_hurts_nobody(desk: Desk, junk: bytes) -> None:
    """Whoever connects without speaking ZMTP is dropped by ZeroMQ; nothing comes of it and others are served."""
    path = desk.bind()
    good = desk.dealer()
    good.send(b"first")
    desk.until_came(1)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # when ZeroMQ has read enough
            stranger.sendall(junk)
        good.send(b"second")
        desk.until_came(2)
    good.send(b"third")
    desk.until_came(3)
    assert [[b"first"], [b"second"], [b"third"]] == [frames for _, frames in desk.came]


def test_a_routing_id_cannot_be_taken_over(desk: Desk) -> None:
    """A second peer that claims another's routing id gets none of its replies."""
    desk.bind()
    first = desk.dealer(routing_id=b"me")
    first.send(b"first")
    desk.until_came(1)
    thief = desk.dealer(routing_id=b"me")
    thief.send(b"I am it")
    first.send(b"again")
    desk.until(lambda: [b"again"] in [frames for _, frames in desk.came], "the first peer is still heard")
    assert desk.frontend.send(desk.came[0][0], [b"secret"])
    assert first.poll(POLL_MS)
    assert b"secret" == first.recv()
    assert 0 == thief.poll(20)


def test_replies_leave_before_the_end(tmp_path: Path) -> None:
    """What was sent just before ``close`` still arrives; after it, nothing is sent, and closing again is nothing."""
    desk = Desk(tmp_path)
    desk.bind()
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.connect(desk.address())
        dealer.send(b"x")
        desk.until_came(1)
        assert desk.frontend.send(desk.came[0][0], [b"r" * 1_000_000])
        desk.frontend.close()
        desk.frontend.close()
        assert dealer.poll(POLL_MS)
        assert b"r" * 1_000_000 == dealer.recv()
        assert not desk.frontend.send(desk.came[0][0], [b"late"])
    desk.close()


def test_no_socket_is_left_behind(tmp_path: Path) -> None:
    """After ``close`` none of the endpoints' files is there any more; ZeroMQ removes none by itself."""
    desk = Desk(tmp_path)
    paths = [desk.bind(name) for name in ("one", "two")]
    desk.close()
    assert [] == [path.name for path in paths if path.exists()]


def test_a_live_endpoint_is_not_taken_over(desk: Desk, tmp_path: Path) -> None:
    """A second daemon with the same further endpoint is refused; ZeroMQ would silently let it take the address."""
    path = desk.bind()
    before = path.stat().st_ino
    second = Desk(tmp_path)
    try:
        with pytest.raises((ConfigError, AlreadyServing), match=desk.address()):
            second.bind()
        assert before == path.stat().st_ino
    finally:
        second.close()


def test_a_stale_socket_file_is_replaced(desk: Desk, tmp_path: Path) -> None:
    """The file that a killed daemon left at an endpoint is no obstacle."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "s"))
    desk.bind()
    desk.dealer().send(b"x")
    desk.until_came(1)

"""Over TCP only the clients on the list come in, each known by its key; whoever else tries gets nothing and stops nobody."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.daemon.test_frontend import GIVE_UP_S, POLL_MS, Desk
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from warmfork import curve
from warmfork.errors import ConfigError
from warmfork_daemon.access import TcpAccess, load_access
from warmfork_daemon.config import load
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.zap import Doorkeeper

FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class TcpDesk(Desk):
    """A frontend on TCP that lets alice and bob in; its clients have a context of their own, as in life."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        clients = directory / "clients"
        clients.mkdir()
        for name in ("server", "alice", "bob", "mallory"):
            curve.make_key_pair(directory, name)
        for name in ("alice", "bob"):
            shutil.copy(directory / f"{name}.key", clients)
        settings = {"tcp.server_key_file": str(directory / "server.key_secret"), "tcp.clients_dir": str(clients)}
        access = load_access(load(environ={}, overrides={"endpoints": ["tcp://127.0.0.1:0"], **settings}))
        assert access is not None
        self.access: TcpAccess = access
        self.frontend = Frontend(self.context, self.reactor, self._take, access)
        self.outside: zmq.Context[Any] = zmq.Context()
        self.tcp = self.frontend.bind("tcp://127.0.0.1:0", None)

    def keys(self, name: str, server: str = "server") -> curve.ClientKeys:
        public, secret = curve.read_key_pair(self.directory / f"{name}.key_secret")
        return curve.ClientKeys(curve.read_public_key(self.directory / f"{server}.key"), public, secret)

    def caller(self, prepare: Callable[[zmq.Socket[Any]], None], address: str = "") -> zmq.Socket[Any]:
        caller: zmq.Socket[Any] = self.outside.socket(zmq.DEALER)
        caller.setsockopt(zmq.LINGER, 0)
        prepare(caller)
        self.dealers.append(caller)
        caller.connect(address or self.tcp)
        return caller

    def client(self, name: str, address: str = "") -> zmq.Socket[Any]:
        return self.caller(lambda made: self.keys(name).put_on(made, address or self.tcp), address)

    def serves(self, caller: zmq.Socket[Any]) -> Peer:
        """The peer that a question of this caller comes from; it is answered."""
        number = b"question %d" % len(self.came)
        caller.send(number)
        self.until(lambda: any(frames == [number] for _, frames in self.came), "the question comes")
        peer = next(peer for peer, frames in self.came if frames == [number])
        assert self.frontend.send(peer, [b"answer to", number])
        assert caller.poll(POLL_MS)
        assert [b"answer to", number] == caller.recv_multipart()
        return peer

    def close(self) -> None:
        super().close()
        self.outside.destroy(0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[TcpDesk]:
    found = TcpDesk(tmp_path)
    yield found
    found.close()


def test_a_client_on_the_list_is_served_and_known_by_its_key(desk: TcpDesk, caplog: pytest.LogCaptureFixture) -> None:
    """Name and owner are the key's, on every connection of its holder; no uid and no pid; the log tells the name."""
    with caplog.at_level(logging.INFO, "warmfork.access"):
        alice, again, bob = (desk.serves(desk.client(name)) for name in ("alice", "alice", "bob"))
    assert ("alice", "alice", "bob") == (alice.name, again.name, bob.name)
    assert alice.owner == again.owner == desk.keys("alice").public.decode()
    assert 3 == len({alice.owner, bob.owner, os.getuid()})
    assert [(-1, -1)] * 3 == [(peer.uid, peer.pid) for peer in (alice, again, bob)]
    said = [(record.getMessage(), *record.__dict__["told"].values()) for record in caplog.records]
    assert [("client connected", name, "127.0.0.1") for name in ("alice", "alice", "bob")] == said
    assert desk.keys("alice").secret.decode() not in repr(said)


def test_ipc_stays_as_it_is_beside_tcp(desk: TcpDesk) -> None:
    """The same frontend serves ipc without keys, its peers known by uid and pid, no door asked."""
    desk.bind()
    peer = desk.serves(desk.dealer())
    assert (os.getuid(), os.getpid(), "", os.getuid()) == (peer.uid, peer.pid, peer.client, peer.owner)
    assert "alice" == desk.serves(desk.client("alice")).name


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
def test_ipv6(desk: TcpDesk) -> None:
    """An IPv6 peer's address ends in numbers like an ipc peer's; it is taken for no uid."""
    try:
        address = desk.frontend.bind("tcp://[::1]:0", None)
    except ConfigError:
        pytest.skip("IPv6 is off")
    peer = desk.serves(desk.client("alice", address))
    assert ("alice", -1, -1) == (peer.name, peer.uid, peer.pid)


def plain(made: zmq.Socket[Any]) -> None:
    """No CURVE: what an ipc client would do."""


def user_and_password(made: zmq.Socket[Any]) -> None:
    made.plain_username = b"alice"
    made.plain_password = b"alice"


ATTACKS: dict[str, Callable[[TcpDesk], Callable[[zmq.Socket[Any]], None]]] = {
    "no CURVE": lambda desk: plain,
    "PLAIN": lambda desk: user_and_password,
    "a server key that is not the daemon's": lambda desk: lambda made: desk.keys("alice", "bob").put_on(made, ""),
    "a key that is not on the list": lambda desk: lambda made: desk.keys("mallory").put_on(made, ""),
    "the daemon's own public key as the client's": lambda desk: (
        lambda made: curve.ClientKeys(
            desk.keys("alice").server, desk.access.public, desk.keys("mallory").secret
        ).put_on(made, "")
    ),
    "a listed public key without its secret": lambda desk: (
        lambda made: curve.ClientKeys(
            desk.keys("alice").server, desk.keys("alice").public, desk.keys("mallory").secret
        ).put_on(made, "")
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whoever_is_not_let_in_gets_nothing(desk: TcpDesk, attack: str) -> None:
    """The handshake fails, nothing of the attacker's arrives, and a client is served before, meanwhile and after."""
    alice = desk.client("alice")
    desk.serves(alice)
    monitors: list[zmq.Socket[Any]] = []

    def prepare(made: zmq.Socket[Any]) -> None:
        ATTACKS[attack](desk)(made)
        monitors.append(made.get_monitor_socket(zmq.EVENT_DISCONNECTED | FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED))

    attacker = desk.caller(prepare)
    attacker.send_multipart([b"let me in"] * 3)
    desk.until(lambda: monitors[0].poll(0), "the attacker is dropped")
    desk.serves(alice)
    desk.serves(desk.client("bob"))
    while monitors[0].poll(0):
        assert zmq.EVENT_HANDSHAKE_SUCCEEDED != recv_monitor_message(monitors[0])["event"]
    assert 0 == attacker.poll(0)
    assert {"alice", "bob"} == {peer.name for peer, _ in desk.came}
    assert [] == [frames for _, frames in desk.came if b"let me in" in frames]
    attacker.disable_monitor()
    monitors[0].close(0)


NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + b"\0" + bytes(31)
CURVE_GREETING = NULL_GREETING.replace(b"NULL\0", b"CURVE")


def ready(**properties: bytes) -> bytes:
    """A READY command with these properties; what goes on the wire is up to who writes it."""
    body = b"\x05READY"
    for name, value in {"Socket_Type": b"DEALER", **properties}.items():
        encoded = name.replace("_", "-").encode()
        body += bytes([len(encoded)]) + encoded + len(value).to_bytes(4, "big") + value
    return b"\x04" + bytes([len(body)]) + body


JUNK = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": bytes(100),
    "ones": b"\xff" * 100_000,
    "a greeting and no more": CURVE_GREETING,
    "half a greeting": CURVE_GREETING[:20],
    "READY in place of HELLO": CURVE_GREETING + ready(User_Id=b"x"),
    "NULL and READY": NULL_GREETING + ready() + b"\0\x01x",
    "a HELLO of zeros": CURVE_GREETING + b"\x04\xc8\x05HELLO" + bytes(194),
    "a command of 2^63 bytes": CURVE_GREETING + b"\x06\x7f" + b"\xff" * 7,
}


@pytest.mark.parametrize("junk", JUNK)
def test_bytes_that_are_no_handshake_hurt_nobody(desk: TcpDesk, junk: str) -> None:
    """A raw connection gets a greeting at most and no message through; clients are served while it hangs there."""
    alice = desk.client("alice")
    host, port = desk.tcp.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(JUNK[junk])
        for _ in range(3):
            desk.serves(alice)
        desk.serves(desk.client("bob"))
    desk.serves(alice)
    assert {"alice", "bob"} == {peer.name for peer, _ in desk.came}


def test_what_an_ipc_peer_says_about_itself_is_not_believed(desk: TcpDesk) -> None:
    """Written into its handshake, neither another user's address nor a listed key makes it anybody else."""
    path = desk.bind()
    told = ready(Peer_Address=b"x:0:0:1", User_Id=desk.keys("alice").public)
    with socket.socket(socket.AF_UNIX) as liar:
        liar.connect(str(path))
        liar.settimeout(GIVE_UP_S)
        liar.sendall(NULL_GREETING + told)
        answer = b""
        while b"READY" not in answer:  # a message before it would break off the handshake
            answer += liar.recv(1_000)
        liar.sendall(b"\0\x05I am!")
        desk.until_came(1)
    peer, frames = desk.came[0]
    assert [b"I am!"] == frames
    assert (os.getuid(), os.getpid(), "", "") == (peer.uid, peer.pid, peer.client, peer.name)


def test_without_the_doorkeeper_nobody_comes_in(desk: TcpDesk) -> None:
    """When nobody answers ZeroMQ's question the answer is no, also for a client on the list."""
    assert isinstance(desk.frontend._doorkeeper, Doorkeeper)
    desk.frontend._doorkeeper.close()
    monitors: list[zmq.Socket[Any]] = []

    def prepare(made: zmq.Socket[Any]) -> None:
        desk.keys("alice").put_on(made, "")
        monitors.append(made.get_monitor_socket(zmq.EVENT_DISCONNECTED | FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED))

    alice = desk.caller(prepare)
    alice.send(b"let me in")
    desk.until(lambda: monitors[0].poll(0), "it is dropped")
    assert zmq.EVENT_HANDSHAKE_SUCCEEDED != recv_monitor_message(monitors[0])["event"]
    assert [] == desk.came
    alice.disable_monitor()
    monitors[0].close(0)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "tcp://0.0.0.0:0"])
def test_no_keys_no_tcp(tmp_path: Path, address: str) -> None:
    """A frontend without keys binds no TCP address, whoever asks it."""
    bare = Desk(tmp_path)
    with pytest.raises(ConfigError, match="CURVE"):
        bare.frontend.bind(address, None)
    assert not bare.frontend.bound
    bare.close()


def test_a_port_that_is_taken_is_a_config_error(desk: TcpDesk) -> None:
    """It is named; the endpoints bound before go on."""
    with pytest.raises(ConfigError, match=f"cannot listen on {desk.tcp}"):
        desk.frontend.bind(desk.tcp, None)
    desk.serves(desk.client("alice"))


def test_the_door_answers_anything(desk: TcpDesk) -> None:
    """A question that is not ZAP's for this domain, mechanism and list is answered with 400, never with an exception."""
    door = desk.frontend._doorkeeper
    assert door is not None
    raw = z85.decode(next(iter(desk.access.names)))
    good = [b"1.0", b"7", b"warmfork", b"127.0.0.1", b"", b"CURVE", raw]
    assert [b"1.0", b"7", b"200"] == door._verdict(good)[:3]
    for place, wrong in (
        (0, b"2.0"),
        (2, b""),
        (2, b"other"),
        (5, b"NULL"),
        (5, b"PLAIN"),
        (6, bytes(32)),
        (6, b"short"),
    ):
        asked = [*good]
        asked[place] = wrong
        assert [b"1.0", b"7", b"400"] == door._verdict(asked)[:3]
    for asked in ([], [b""], good[:6], [*good, b""], [b"\xff"] * 7):
        assert b"400" == door._verdict(asked)[2]


def test_refusals_do_not_fill_the_log(desk: TcpDesk, caplog: pytest.LogCaptureFixture) -> None:
    """Of a thousand refusals in a moment one line is written, with the key and where it came from."""
    door = desk.frontend._doorkeeper
    assert door is not None
    with caplog.at_level(logging.INFO, "warmfork.access"):
        for _ in range(1_000):
            door._verdict([b"1.0", b"7", b"warmfork", b"10.1.1.1\n\xff", b"", b"CURVE", bytes(32)])
    assert 1 <= len(caplog.records) <= 3
    said = caplog.records[0].__dict__["told"]
    assert ("10.1.1.1\\n\\xff", 1) == (said["address"], said["refused"])


def test_a_new_list_is_followed(desk: TcpDesk) -> None:
    """Who is new on it comes in; who is gone is not heard on the connection that it has, and gets no other; the rest stay."""
    alice, bob = desk.client("alice"), desk.client("bob")
    desk.serves(alice)
    desk.serves(bob)
    names = {desk.keys("bob").public: "bob", desk.keys("mallory").public: "mallory"}
    assert (("mallory",), ("alice",)) == desk.frontend.follow(dataclasses.replace(desk.access, names=names))
    assert "mallory" == desk.serves(desk.client("mallory")).name
    came = len(desk.came)
    alice.send(b"still here")
    desk.until(lambda: len(desk.frontend.connections) == 2, "alice's connection is closed")
    assert "bob" == desk.serves(bob).name
    assert came + 1 == len(desk.came)
    assert ((), ()) == desk.frontend.follow(None)

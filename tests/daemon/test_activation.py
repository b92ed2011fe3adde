"""Sockets that systemd passed: taken, forgotten in the environment, refused when they are something else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import zmq
from tests.support import environment

from warmfork_daemon import activation
from warmfork_daemon.activation import take_activated
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.reactor import Reactor

HERE: Final = str(os.getpid())


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "-1", "LISTEN_PID": HERE}, {"LISTEN_FDS": "1"}],
)
def test_nothing_passed_to_us(environ: dict[str, str]) -> None:
    """Without the variables, or with another process's, nothing is taken; the variables are gone all the same."""
    kept = {**environ, "A": "b"}
    assert {} == take_activated(kept)
    assert {"A": "b"} == kept


_TAKER: Final = """
import os, socket, sys
from warmfork.errors import ConfigError
from warmfork_daemon.activation import take_activated
kind, path = sys.argv[1:]
made = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX,
                     socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
made.bind(("127.0.0.1", 0) if kind == "tcp" else path)
if kind in ("tcp", "stream"):
    made.listen()
os.dup2(made.fileno(), 3)
environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "x"}
try:
    print(take_activated(environ), environ, os.get_inheritable(3), os.get_blocking(3))
except ConfigError as problem:
    print("refused:", problem)
"""


def taken(kind: str, path: Path) -> str:
    """What a process says that got descriptor 3 as systemd passes it."""
    command = [sys.executable, "-c", _TAKER, kind, str(path)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout.strip()


def test_a_listening_socket_is_taken(tmp_path: Path) -> None:
    """Descriptor 3 is known by its address, does not block, and goes to no child."""
    path = tmp_path / "s"
    assert f"{{'ipc://{path}': 3}} {{}} False False" == taken("stream", path)


@pytest.mark.parametrize("kind", ["tcp", "datagram", "not listening"])
def test_any_other_socket_is_refused(tmp_path: Path, kind: str) -> None:
    """What is no listening Unix stream socket is a mistake in the socket unit."""
    assert taken(kind, tmp_path / "s").startswith("refused: the socket unit passed")


def test_the_numbers_of_sd_listen_fds() -> None:
    """The first descriptor is 3, as sd_listen_fds(3) has it."""
    assert 3 == activation.FIRST_FD
    assert socket.SO_ACCEPTCONN


def test_the_frontend_serves_on_it_and_leaves_its_file(tmp_path: Path) -> None:
    """A client that connected before the daemon was there is answered, its uid known; the file stays at the end."""
    path = tmp_path / "s"
    address = f"ipc://{path}"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen()
    listening.setblocking(False)
    context: zmq.Context[Any] = zmq.Context()
    client: zmq.Socket[Any] = context.socket(zmq.DEALER)
    client.connect(address)
    client.send(b"early")
    came: list[Peer] = []
    reactor = Reactor()
    frontend = Frontend(context, reactor, lambda peer, frames: came.append(peer))
    assert address == frontend.bind(address, None, listening.detach())
    reactor.call_later(20.0, reactor.stop)
    while not came and not reactor._stopped:
        reactor.turn()
    assert [os.getuid()] == [peer.uid for peer in came]
    assert frontend.send(came[0], [b"answer"])
    assert client.poll(20_000)
    client.close(0)
    frontend.close()
    context.term()
    assert path.exists()

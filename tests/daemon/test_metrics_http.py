"""The page of metrics over HTTP: one page, small requests, timed connections, and a loop that hostile peers do not hold."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import wait_until

from warmfork.errors import ConfigError
from warmfork_daemon import metrics_http
from warmfork_daemon.metrics_http import CONNECTIONS_MAX, REQUEST_BYTES_MAX, PageServer
from warmfork_daemon.reactor import Reactor

PAGE = b"warmfork_jobs_total 1.0\n"
GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Running:
    """A reactor on a thread of its own, with a page server at a Unix socket and at a loopback port."""

    def __init__(self, directory: Path) -> None:
        self.reactor = Reactor()
        self.pages = 0
        self.body = PAGE
        self.ticks = 0
        self.server = PageServer(self.reactor, self.page)
        self.path = str(directory / "m.sock")
        self.server.listen_unix(self.path, None)
        self.server.listen_tcp("127.0.0.1:0")
        self.port = int(self.server.addresses[1].rsplit(":", 1)[1].split("/")[0])
        self.tick()
        self.thread = threading.Thread(target=self.reactor.run)
        self.thread.start()

    def page(self) -> tuple[str, bytes]:
        self.pages += 1
        if not self.body:
            raise RuntimeError("no page today")
        return "text/plain; version=test", self.body

    def tick(self) -> None:
        """What else the loop has to do."""
        self.ticks += 1
        self.reactor.call_later(0.001, self.tick)

    def connect(self, family: int = socket.AF_UNIX) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            # Without a timeout, or a Unix socket whose queue is full refuses at once instead of letting one wait.
            made.connect(self.path if family == socket.AF_UNIX else ("127.0.0.1", self.port))
        except OSError:
            made.close()
            raise
        made.settimeout(10)
        return made

    def ask(self, request: bytes, family: int = socket.AF_UNIX) -> tuple[int, bytes]:
        """Status and body of the answer to these bytes; 0 when the connection ends without one."""
        with self.connect(family) as made:
            with contextlib.suppress(OSError):
                made.sendall(request)
            return answer_on(made)

    def close(self) -> None:
        if not self.thread.is_alive():
            return
        self.reactor.call_later(0, self.end)
        # A call from another thread does not wake the loop; its own tick does.
        self.thread.join(10)
        assert not self.thread.is_alive()

    def end(self) -> None:
        self.server.close()
        self.reactor.stop()


def answer_on(made: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(made)
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.HTTPException, ConnectionResetError, BrokenPipeError):
        return 0, b""
    finally:
        response.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_http, "CONNECTION_S_MAX", 0.2)


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_the_page(running: Running, family: int) -> None:
    """GET /metrics has the page with its type and length, on both kinds of socket; a query is ignored."""
    assert (200, PAGE) == running.ask(GET, family)
    assert (200, PAGE) == running.ask(b"GET /metrics?x=1 HTTP/1.0\n\n", family)
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert ("text/plain; version=test", "close") == (
        response.getheader("content-type"),
        response.getheader("connection"),
    )
    assert PAGE == response.read()
    connection.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", 405),
        (b"get /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"GET /met\x00rics HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * REQUEST_BYTES_MAX + b"\r\n\r\n", 431),
        (b"a" * (64 * REQUEST_BYTES_MAX), 431),
    ],
)  # fmt: skip
def test_anything_else_is_refused(running: Running, request_: bytes, status: int) -> None:
    """What is no GET of the one page gets a short answer that says so, and the page is not made."""
    got, body = running.ask(request_)
    assert got in (status, 0) if len(request_) > 4 * REQUEST_BYTES_MAX else got == status
    assert len(body) < 200
    assert 0 == running.pages
    assert (200, PAGE) == running.ask(GET)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9464", 200), ("127.0.0.1", 200), ("127.8.8.8:1", 200), ("[::1]:9464", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("10.0.0.1", 403), ("", 403),
    ],
)  # fmt: skip
def test_a_page_of_the_web_cannot_ask(running: Running, host: str, status: int) -> None:
    """Over TCP a Host that is not this machine's is refused (DNS rebinding); on the Unix socket it does not matter."""
    request = f"GET /metrics HTTP/1.1\r\nhost:  {host}\r\n\r\n".encode()
    assert status == running.ask(request, socket.AF_INET)[0]
    assert 200 == running.ask(request)[0]


def test_byte_by_byte(running: Running) -> None:
    """A request that comes byte by byte is answered like one that comes at once."""
    with running.connect() as made:
        for place in range(len(GET)):
            made.sendall(GET[place : place + 1])
        assert (200, PAGE) == answer_on(made)


def test_a_fault_is_a_missing_page(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """A page that cannot be made is a 500 and a line in the log; the next one is served again."""
    running.body = b""
    assert 500 == running.ask(GET)[0]
    assert "no page today" in caplog.text
    running.body = PAGE
    assert (200, PAGE) == running.ask(GET)


def test_the_page_is_not_made_for_everyone(running: Running) -> None:
    """However many ask at once, the page is made about once a second at most."""
    for _ in range(20):
        assert 200 == running.ask(GET)[0]
    assert running.pages <= 3


def test_a_large_page_to_a_slow_reader(running: Running) -> None:
    """A page larger than the socket's buffer comes whole to a reader who takes his time, and the loop turns meanwhile."""
    running.body = b"x" * (4 << 20)
    with running.connect() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        made.sendall(GET)
        before = running.ticks
        wait_until(lambda: running.ticks > before + 20, "the loop turns")
        status, body = answer_on(made)
    assert (200, running.body) == (status, body)


@pytest.mark.parametrize("sent", [b"", b"GET /metr", GET])
@pytest.mark.usefixtures("impatient")
def test_who_waits_is_closed(tmp_path: Path, sent: bytes) -> None:
    """A connection that asks nothing, half, or does not read its answer is closed when its time is over."""
    running = Running(tmp_path)
    running.body = b"x" * (4 << 20)
    try:
        with running.connect() as made:
            made.sendall(sent)
            wait_until(lambda: len(running.server._connections) == 1, "it is accepted")
            wait_until(lambda: not running.server._connections, "it is closed", 5.0)
    finally:
        running.close()


def test_slow_connections_do_not_keep_others_out(running: Running) -> None:
    """Of many that hold their connection open, the oldest give way: the page is still had, and few are kept."""
    held = [running.connect() for _ in range(3 * CONNECTIONS_MAX)]
    for one in held:
        one.send(b"GET ")
    assert (200, PAGE) == running.ask(GET)
    assert len(running.server._connections) <= CONNECTIONS_MAX
    for one in held:
        one.close()
    wait_until(lambda: not running.server._connections, "all are forgotten")


def test_a_storm_of_connections_leaves_the_loop_to_others(running: Running) -> None:
    """While threads connect without end, what else the loop does goes on at its pace, and at the end nothing is left."""
    done = threading.Event()

    def storm() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError), running.connect() as made:
                made.send(os.urandom(64))

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    before = running.ticks
    wait_until(lambda: running.ticks >= before + 300, "the loop does its other work", 10.0)
    done.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: not running.server._connections, "nothing is left", 10.0)
    assert (200, PAGE) == running.ask(GET)


def test_no_descriptor_left(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that cannot be accepted for want of descriptors is tried again after a pause, not in a spin."""
    tries = []
    accept = socket.socket.accept

    def failing(self: socket.socket) -> tuple[socket.socket, object]:
        tries.append(1)
        if len(tries) < 4:
            raise OSError(24, "Too many open files")
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", failing)
    turns = running.ticks
    assert (200, PAGE) == running.ask(GET)
    assert len(tries) <= 6
    assert running.ticks > turns


def test_the_socket_file(tmp_path: Path) -> None:
    """The file is the owner's alone, a group's on request; a stale one is replaced, and it goes when the server does."""
    path = tmp_path / "m.sock"
    server = PageServer(Reactor(), lambda: ("", b""))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server.listen_unix(str(path), None)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    server.close()
    assert not path.exists()
    server.listen_unix(str(path), os.getgid())
    assert (0o660, os.getgid()) == (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid)
    server.close()


def no_socket(path: Path) -> None:
    path.write_text("precious")


def served(path: Path) -> None:
    other = PageServer(Reactor(), lambda: ("", b""))
    other.listen_unix(str(path), None)
    KEPT.append(other)


KEPT: list[PageServer] = []


@pytest.mark.parametrize("what", [no_socket, served])
def test_what_is_somebody_elses_is_left_alone(tmp_path: Path, what: Callable[[Path], None]) -> None:
    """A file that is no socket, or a socket that is served, is a ConfigError and is not touched."""
    path = tmp_path / "m.sock"
    what(path)
    with pytest.raises(ConfigError, match="cannot be listened on"):
        PageServer(Reactor(), lambda: ("", b"")).listen_unix(str(path), None)
    assert path.exists()
    while KEPT:
        KEPT.pop().close()


def test_a_port_that_is_taken(running: Running) -> None:
    """A port that somebody listens on is a ConfigError that names the setting."""
    with pytest.raises(ConfigError, match=r"metrics\.listen"):
        PageServer(Reactor(), lambda: ("", b"")).listen_tcp(f"127.0.0.1:{running.port}")

"""One page over HTTP, on the daemon's own loop: every byte in is bounded, every connection timed, nothing waits.

Whoever can connect is not trusted: requests are small, connections few, the oldest gives way to the newest (so nobody
can hold them all), new ones are taken at a bounded rate, and a page is made at most once in ``_PAGE_KEPT_S``.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import socket
import stat
from collections.abc import Callable
from typing import Final

from warmfork.errors import ConfigError
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import Reactor, Timer, monotonic_s

log = logging.getLogger("warmfork.metrics")

CONNECTIONS_MAX: Final = 16
REQUEST_BYTES_MAX: Final = 8 * 1024
CONNECTION_S_MAX: Final = 5.0
ACCEPTS_A_TURN: Final = 4
ACCEPT_PAUSE_S: Final = 0.02
_DISCARD_BYTES_MAX: Final = 256 * 1024
_READ_BYTES: Final = 16 * 1024
_SEND_BYTES: Final = 256 * 1024
_PAGE_KEPT_S: Final = 1.0  # it takes the loop some milliseconds
_BACKLOG: Final = 64

_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,1024}) HTTP/1\.[01]")
_HOST: Final = re.compile(rb"^host:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_REASON_OF: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}
_TEXT: Final = "text/plain; charset=utf-8"


class PageServer:
    """Serves ``GET /metrics`` on listening sockets.

    Args:
        reactor: the event loop.
        page: makes the page: its content type and its bytes.
    """

    def __init__(self, reactor: Reactor, page: Callable[[], tuple[str, bytes]]) -> None:
        self._reactor = reactor
        self._make_page = page
        self._page: tuple[str, bytes] = ("", b"")
        self._page_until_s = 0.0
        self._listeners: list[socket.socket] = []
        self._paths: list[str] = []
        self._pauses: dict[int, Timer] = {}
        self._connections: dict[int, _Connection] = {}
        self.addresses: list[str] = []

    def listen_unix(self, path: str, group_id: int | None) -> None:
        """Listen on a Unix socket, mode 0660 of this group, else 0600. Raises ConfigError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            umask = os.umask(0o177)  # the mode must hold from the first moment
            try:
                listener.bind(path)
            finally:
                os.umask(umask)
            self._paths.append(path)
            if group_id is not None:
                os.chown(path, -1, group_id)
                os.chmod(path, 0o660)
            self._listen(listener, path)
        except OSError as problem:
            listener.close()
            raise ConfigError(f"metrics.socket = {path!r} cannot be listened on: {problem}") from None

    def listen_tcp(self, address: str) -> None:
        """Listen on ``IP:port``, loopback only; port 0 takes any. Raises ConfigError."""
        host, _, port = address.rpartition(":")
        ip = ipaddress.ip_address(host.strip("[]"))
        assert ip.is_loopback, "checked by the configuration"
        listener = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(ip), int(port)))
            self._listen(listener, f"http://{host}:{listener.getsockname()[1]}/metrics")
        except OSError as problem:
            listener.close()
            raise ConfigError(f"metrics.listen = {address!r} cannot be listened on: {problem}") from None

    def _listen(self, listener: socket.socket, address: str) -> None:
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._listeners.append(listener)
        self.addresses.append(address)
        self._reactor.watch(listener.fileno(), lambda: self._accept(listener))
        log.info("metrics served", extra=told(address=address))

    def _accept(self, listener: socket.socket) -> None:
        local = listener.family != socket.AF_UNIX
        for count in range(ACCEPTS_A_TURN):
            try:
                accepted, _peer = listener.accept()
            except BlockingIOError:
                if not count:
                    return
                break
            except OSError:  # out of descriptors, or the peer has left already
                break
            accepted.setblocking(False)
            if len(self._connections) >= CONNECTIONS_MAX:
                next(iter(self._connections.values())).close()
            connection = _Connection(self._reactor, accepted, self._answer, self._forget, check_host=local)
            self._connections[connection.number] = connection
        # What else comes waits in the kernel for a moment: whoever connects without end cannot keep the loop from jobs,
        # and one that cannot be accepted (no descriptors left) does not make it spin.
        fd = listener.fileno()
        self._reactor.unwatch(fd)
        self._pauses[fd] = self._reactor.call_later(ACCEPT_PAUSE_S, lambda: self._accept_again(listener))

    def _accept_again(self, listener: socket.socket) -> None:
        self._pauses.pop(listener.fileno(), None)
        self._reactor.watch(listener.fileno(), lambda: self._accept(listener))

    def _forget(self, number: int) -> None:
        self._connections.pop(number, None)

    def _answer(self, head: bytes, check_host: bool) -> tuple[int, str, bytes]:
        """Status, content type and body for the head of a request."""
        line, _, fields = head.partition(b"\n")
        match = _REQUEST_LINE.fullmatch(line.rstrip(b"\r"))
        if match is None:
            return _said(400, "this is no HTTP request")
        if check_host and not _is_local(fields):
            # A web page elsewhere can point a name of its own at 127.0.0.1; its browser then names it here.
            return _said(403, "the Host must be localhost or a loopback address")
        if match[2].partition(b"?")[0] != b"/metrics":
            return _said(404, "there is one page: /metrics")
        if match[1] != b"GET":
            return _said(405, "only GET")
        try:
            return (200, *self._current_page())
        except Exception:  # a fault here is a missing page, never a daemon that serves no job
            log.exception("the page of metrics could not be made")
            return _said(500, "the page could not be made; the daemon's log says why")

    def _current_page(self) -> tuple[str, bytes]:
        now_s = monotonic_s()
        if now_s >= self._page_until_s:
            self._page = self._make_page()
            self._page_until_s = monotonic_s() + _PAGE_KEPT_S
        return self._page

    def close(self) -> None:
        """Close everything and remove the Unix socket."""
        for timer in self._pauses.values():
            timer.cancel()
        self._pauses.clear()
        for connection in list(self._connections.values()):
            connection.close()
        for listener in self._listeners:
            self._reactor.unwatch(listener.fileno())
            listener.close()
        self._listeners.clear()
        self.addresses.clear()
        for path in self._paths:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._paths.clear()


class _Connection:
    """One request, one answer: read the head, write the page, let the peer read it to its end, close.

    ``close`` may come at any moment and from anywhere (a timer, the server, another connection's arrival).
    """

    def __init__(
        self,
        reactor: Reactor,
        accepted: socket.socket,
        answer: Callable[[bytes, bool], tuple[int, str, bytes]],
        forget: Callable[[int], None],
        *,
        check_host: bool,
    ) -> None:
        self._reactor = reactor
        self._socket = accepted
        self._answer = answer
        self._forget = forget
        self._check_host = check_host
        self._head = b""
        self._discarded = 0
        self._unsent = memoryview(b"")
        self._answered = False
        self.number = accepted.fileno()
        self._timer = reactor.call_later(CONNECTION_S_MAX, self.close)
        reactor.watch(self.number, self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._answered:
            # What still comes must be read, or closing would reset the connection and with it the answer.
            self._discarded += len(data)
            if not data or self._discarded > _DISCARD_BYTES_MAX:
                self.close()
            return
        if not data:
            self.close()
            return
        self._head += data
        end = _end_of_head(self._head)
        if end is not None and end <= REQUEST_BYTES_MAX:
            self._reply(*self._answer(self._head[:end], self._check_host))
        elif len(self._head) > REQUEST_BYTES_MAX:
            self._reply(*_said(431, f"a request has at most {REQUEST_BYTES_MAX} bytes"))

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self._answered = True
        self._head = b""
        head = (
            f"HTTP/1.1 {status} {_REASON_OF[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        self._unsent = memoryview(head.encode("ascii") + body)
        self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent[:_SEND_BYTES]) :]
        except BlockingIOError:
            self._reactor.watch_writable(self.number, self._write)
            return
        except OSError:
            self.close()
            return
        self._reactor.unwatch_writable(self.number)
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def close(self) -> None:
        """End the connection, whatever it is at."""
        if self._socket.fileno() < 0:
            return
        self._timer.cancel()
        self._reactor.unwatch(self.number)
        self._socket.close()
        self._forget(self.number)


def _end_of_head(data: bytes) -> int | None:
    """Where the empty line begins that ends a request's head; None while it has not come."""
    ends = [place for place in (data.find(b"\r\n\r\n"), data.find(b"\n\n")) if place >= 0]
    return min(ends) if ends else None


def _said(status: int, text: str) -> tuple[int, str, bytes]:
    return status, _TEXT, f"{text}\n".encode()


def _is_local(fields: bytes) -> bool:
    """Whether every Host that the request names is this machine by number or as localhost."""
    for host in _HOST.findall(fields.replace(b"\r", b"")):
        name = host.decode("latin-1").lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        try:
            local = name == "localhost" or ipaddress.ip_address(name).is_loopback
        except ValueError:
            local = False
        if not local:
            return False
    return True


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; raises OSError for one that is served and for anything else there."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError("another process serves it")

"""ZeroMQ's authentication (ZAP 1.0, RFC 27), answered on the one event loop: no thread of its own.

ZeroMQ asks here, inside the process, whenever a TCP peer has proved that it holds the secret of the public key that it
shows, and lets it in only if the answer is 200. It asks nothing for ipc, where the socket's mode decides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import zmq
from zmq.utils import z85

from warmfork_daemon.access import TcpAccess
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import Reactor, monotonic_s

log = logging.getLogger("warmfork.access")

DOMAIN: Final = b"warmfork"
_ADDRESS: Final = "inproc://zeromq.zap.01"  # fixed by RFC 27
_VERSION: Final = b"1.0"
_KEY_BYTES: Final = 32
_REQUESTS_A_TURN: Final = 32
_REFUSAL_LOG_PAUSE_S: Final = 1.0


class Doorkeeper:
    """Answers for every TCP peer whether it may come in.

    Args:
        context: ZeroMQ's; of the sockets that it keeps.
        reactor: the event loop.
        access: who may.
    """

    def __init__(self, context: zmq.Context[Any], reactor: Reactor, access: TcpAccess) -> None:
        self._reactor = reactor
        self._names = access.names
        self._refused = 0
        self._refusal_logged_s = float("-inf")
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ADDRESS)
        reactor.watch_socket(self._socket, self._answer)

    def follow(self, names: Mapping[bytes, str]) -> None:
        """From now on these may come in: their names by public key."""
        self._names = names

    def _answer(self) -> None:
        for _ in range(_REQUESTS_A_TURN):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._socket.send_multipart(self._verdict(frames))

    def _verdict(self, frames: list[bytes]) -> list[bytes]:
        request_id = frames[1] if len(frames) > 1 else b""
        # version, request id, domain, address, routing id, mechanism, then the raw public key
        asked_by_curve = len(frames) == 7 and (frames[0], frames[2], frames[5]) == (_VERSION, DOMAIN, b"CURVE")
        if asked_by_curve and len(frames[6]) == _KEY_BYTES:
            key = z85.encode(frames[6])
            name = self._names.get(key)
            address = ascii(frames[3].decode("latin-1")).strip("'")
            if name is not None:
                log.info("client connected", extra=told(client=name, address=address))
                return [_VERSION, request_id, b"200", b"OK", key, b""]
            self._log_refusal(key.decode(), address)
        return [_VERSION, request_id, b"400", b"this key is not allowed here", b"", b""]

    def _log_refusal(self, key: str, address: str) -> None:
        # Whoever has the daemon's public key can ask as often as he likes; the log shall not be what he fills.
        self._refused += 1
        now_s = monotonic_s()
        if now_s - self._refusal_logged_s >= _REFUSAL_LOG_PAUSE_S:
            log.warning("key refused", extra=told(key=key, address=address, refused=self._refused))
            self._refusal_logged_s = now_s

    def close(self) -> None:
        """Let nobody in any more."""
        self._reactor.unwatch_socket(self._socket)
        self._socket.close()

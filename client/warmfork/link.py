"""One synchronous connection to a daemon: a DEALER with its monitor, used by one thread at a time."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any, Final

import zmq

from warmfork.curve import ClientKeys, keep_checked
from warmfork.sockets import await_any, readable, receive_now, send_now
from warmfork.wire.frames import Frames
from warmfork.wire.messages import decode_reply
from warmfork.wire.replies import OutputReply, Reply

_LAST_LOOK_MS: Final = 20


class Disconnected(Exception):
    """The daemon's end went away."""


class Link:
    """A DEALER that knows when its peer has gone.

    Args:
        context: ZeroMQ's.
        address: of the daemon.
        curve: the keys that a TCP address needs.
    """

    def __init__(self, context: zmq.Context[Any], address: str, curve: ClientKeys | None = None) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        # Without a connection a send must fail instead of waiting in a queue for a daemon that may never come.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._both = (self._socket, self._monitor)
        # Readable once there is something for the monitor to look at, until it has looked (zmq_getsockopt(3), ZMQ_FD): a
        # question to the kernel, where one to ZeroMQ costs three times as much before each call.
        self._news = select.poll()
        self._news.register(self._monitor.getsockopt(zmq.FD), select.POLLIN)
        self._ended = False
        keep_checked(self._socket)
        if curve is not None:
            curve.put_on(self._socket, address)
        self._socket.connect(address)

    def send(self, frames: Frames, timeout_s: float = 0.0) -> bool:
        """Hand a message to the connection. False when there is none within the time, or it has ended before."""
        if not self._ended and self._news.poll(0):
            self._ended = readable(self._monitor)
        if self._ended:
            return False
        if timeout_s and not self._socket.poll(int(timeout_s * 1000) + 1, zmq.POLLOUT):
            return False
        try:
            send_now(self._socket, frames)
        except zmq.Again:
            return False
        return True

    def receive(
        self, request_id: bytes, timeout_s: float, on_output: Callable[[OutputReply], None] | None = None
    ) -> Reply | None:
        """The reply to this request; None when none has come in time. Replies to others are dropped.

        Args:
            request_id: of the request.
            timeout_s: how long to wait.
            on_output: called with each message of output that comes before the reply.

        Raises:
            Disconnected: the connection ended first.
            ProtocolError: what came is no reply.
        """
        due_s = time.monotonic() + timeout_s
        while True:
            left_s = due_s - time.monotonic()
            ready = await_any(self._both, max(0, int(left_s * 1000) + 1))
            if ready and ready[-1] is self._monitor:
                self._ended = True  # it has looked: what it has is no news any more
            if self._socket in ready:
                reply = self._take()
                if isinstance(reply, OutputReply):
                    if on_output is not None and reply.id == request_id:
                        on_output(reply)
                elif reply is not None and reply.id in (request_id, bytes(len(request_id))):
                    return reply
            elif self._monitor in ready:
                # What the daemon sent before it left may have come in between the poll and here.
                while await_any(self._both[:1], _LAST_LOOK_MS):
                    reply = self._take()
                    if isinstance(reply, OutputReply):
                        if on_output is not None and reply.id == request_id:
                            on_output(reply)
                    elif reply is not None and reply.id == request_id:
                        return reply
                raise Disconnected
            elif left_s <= 0:
                return None

    def _take(self) -> Reply | None:
        try:
            frames = receive_now(self._socket)
        except zmq.Again:
            return None
        return decode_reply([frame.buffer for frame in frames])

    def close(self) -> None:
        """Close the connection; nothing waits for it."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)

"""Messages through ZeroMQ sockets by the calls that do the work, not by those of pyzmq that wrap them.

A wrapped call does the same in five to ten functions more (flags made into enumerations and back, a poller for one
question). In a loop that is nothing; after a pause each of them comes from memory, which costs microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import zmq
from zmq.backend import Socket as _Socket

_IN: Final = int(zmq.POLLIN)
_NOW: Final = int(zmq.NOBLOCK)
_NOW_AND_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)

_send: Final[Any] = _Socket.send
_receive: Final[Any] = _Socket.recv
_poll: Final[Any] = zmq.zmq_poll


def send_now(socket: zmq.Socket[Any], frames: Sequence[Any], *, copy: bool = True) -> None:
    """Hand a message over, all of it or nothing.

    Args:
        socket: any.
        frames: bytes, memoryviews or ``zmq.Frame``.
        copy: copy the bytes; without it ZeroMQ reads them where they are, and they must stay.

    Raises:
        zmq.Again: there is no room for it now.
        zmq.ZMQError: it cannot be sent at all.
    """
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        _send(socket, frame, _NOW if index == last else _NOW_AND_MORE, copy)


def receive_now(socket: zmq.Socket[Any]) -> list[zmq.Frame]:
    """The frames of the next message, not copied. Raises zmq.Again when there is none."""
    frame = _receive(socket, _NOW, False)
    frames = [frame]
    while frame.more:
        frame = _receive(socket, _NOW, False)
        frames.append(frame)
    return frames


def readable(socket: zmq.Socket[Any]) -> bool:
    """True when there is a message to receive."""
    return bool(_poll([(socket, _IN)], 0))


def await_any(sockets: Sequence[zmq.Socket[Any]], timeout_ms: int) -> list[zmq.Socket[Any]]:
    """Those of these sockets that have a message, once one has; none when the time is over first."""
    return [ready for ready, _ in _poll([(socket, _IN) for socket in sockets], timeout_ms)]

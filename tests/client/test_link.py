"""A connection whose daemon has gone takes no request, whenever that was noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.support import wait_until

from warmfork.link import Link
from warmfork.sockets import await_any
from warmfork.wire.messages import encode_reply, encode_request
from warmfork.wire.replies import CancelReply
from warmfork.wire.requests import HelloRequest

JOB = bytes(range(16))
REQUEST = encode_request(HelloRequest(JOB))


class Ends:
    """A link, and the socket that it is connected to."""

    def __init__(self, directory: Path) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.daemon: zmq.Socket[Any] = self.context.socket(zmq.ROUTER)
        self.daemon.bind(f"ipc://{directory}/s")
        self.link = Link(self.context, f"ipc://{directory}/s")

    def answer(self) -> None:
        """Receive one request and answer it."""
        assert self.daemon.poll(20_000)
        peer, *_ = self.daemon.recv_multipart()
        self.daemon.send_multipart([peer, *encode_reply(CancelReply(JOB, "unknown"))])


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    found = Ends(tmp_path)
    yield found
    found.link.close()
    found.daemon.close(0)
    found.context.term()


def test_it_serves_one_request_after_the_other(ends: Ends) -> None:
    """What the connection's monitor has to do meanwhile, which is nothing here, is not taken for an end."""
    assert ends.link.send(REQUEST, 20.0)
    for _ in range(3):
        ends.answer()
        assert isinstance(ends.link.receive(JOB, 20.0), CancelReply)
        assert ends.link.send(REQUEST)
    ends.answer()


def test_an_end_that_comes_between_two_requests_is_seen(ends: Ends) -> None:
    """The next request is not taken."""
    assert ends.link.send(REQUEST, 20.0)
    ends.answer()
    assert ends.link.receive(JOB, 20.0) is not None
    ends.daemon.close(0)
    wait_until(lambda: ends.link._news.poll(0), "the end is noticed")
    assert not ends.link.send(REQUEST)


@pytest.mark.parametrize("told", ["both", "the end, then the reply"])
def test_an_end_that_comes_with_a_reply_is_not_forgotten(
    ends: Ends, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply is given out, and the next request is not taken, although the monitor has no news any more."""
    assert ends.link.send(REQUEST, 20.0)
    ends.answer()
    assert await_any([ends.link._socket], 20_000)
    with monkeypatch.context() as patched:  # ZeroMQ seldom tells both at once, and never when asked to
        patched.setattr(
            "warmfork.link.await_any",
            lambda sockets, timeout_ms: list(sockets)[1 if told != "both" and len(sockets) == 2 else 0 :],
        )
        assert ends.link.receive(JOB, 20.0) is not None
    assert not ends.link._news.poll(0)
    assert not ends.link.send(REQUEST)

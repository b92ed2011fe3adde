"""What cannot be read, or cannot be done, costs its sender an answer and nobody else anything."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from warmfork.wire.messages import encode_request
from warmfork.wire.replies import ErrorReply, Reply
from warmfork.wire.requests import HelloRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.reception import Reception, Services

ID = bytes(range(16))


def test_no_memory_for_a_message_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reading a message raises, its sender is told, with the id where that can be read, and it is counted."""
    sent: list[Reply] = []
    refused: Counter[str] = Counter()

    def send(peer: Peer, reply: Reply) -> bool:
        sent.append(reply)
        return True

    def fail(frames: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("warmfork_daemon.reception.decode_request", fail)
    reception = Reception(cast(Services, None), refused, send)
    reception.take(Peer(0, b"r", 1, 1), [memoryview(frame) for frame in encode_request(HelloRequest(ID))])
    (reply,) = sent
    assert isinstance(reply, ErrorReply)
    assert ("internal", ID) == (reply.code, reply.id)
    assert {"internal": 1} == refused

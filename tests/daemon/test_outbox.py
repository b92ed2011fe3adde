"""Replies that a peer does not take are kept within bounds, sent when it does, and dropped where they must be."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from warmfork.wire.frames import Frames
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.outbox import BIG_BYTES, Bounds, Outbox, Sent
from warmfork_daemon.reactor import Reactor

GIVE_UP_S = 20.0
MIB = 1 << 20


def peer(name: bytes, uid: int = 1) -> Peer:
    return Peer(0, name, uid, 1)


class Post:
    """An outbox whose peers take messages, take none, or are gone, as the test says."""

    def __init__(self, **bounds: Any) -> None:
        self.reactor = Reactor()
        self.closed: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.arrived: dict[bytes, list[bytes]] = defaultdict(list)
        self.outbox = Outbox(self.reactor, self.transmit, Bounds(**bounds))

    def transmit(self, to: Peer, frames: Frames, big: bool) -> tuple[Sent, None]:
        if to.routing_id in self.gone:
            return Sent.GONE, None
        if to.routing_id in self.closed:
            return Sent.FULL, None
        self.arrived[to.routing_id].append(b"".join(bytes(frame) for frame in frames))
        return Sent.YES, None

    def until(self, condition: Callable[[], object]) -> None:
        due_s = time.monotonic() + GIVE_UP_S
        while not condition():
            assert time.monotonic() < due_s
            self.reactor.call_later(0.01, lambda: None)
            self.reactor.turn()

    def close(self) -> None:
        self.outbox.close()
        self.reactor._epoll.close()


def test_who_takes_it_gets_it_at_once() -> None:
    """Nothing is kept for a peer that takes what it is sent."""
    with contextlib.closing(Post()) as post:
        assert post.outbox.send(peer(b"a"), [b"one", b"two"])
        assert ([b"onetwo"], 0) == (post.arrived[b"a"], post.outbox.messages)


def test_what_waits_goes_out_in_order_and_holds_up_nobody() -> None:
    """A peer that takes nothing for a while gets all in order later; another gets its own meanwhile."""
    with contextlib.closing(Post()) as post:
        post.closed.add(b"slow")
        for text in (b"1", b"2", b"3"):
            assert post.outbox.send(peer(b"slow"), [text])
        assert post.outbox.send(peer(b"quick"), [b"now"])
        assert [b"now"] == post.arrived[b"quick"]
        post.closed.clear()
        assert post.outbox.send(peer(b"slow"), [b"4"])
        post.until(lambda: len(post.arrived[b"slow"]) == 4)
        assert [b"1", b"2", b"3", b"4"] == post.arrived[b"slow"]
        assert (0, 0, 0) == (post.outbox.bytes, post.outbox.messages, post.outbox.dropped)


def test_output_is_not_kept_and_never_overtakes_a_result() -> None:
    """``send_now`` sends nothing while a reply waits for the peer, and keeps nothing."""
    with contextlib.closing(Post()) as post:
        assert post.outbox.send_now(peer(b"a"), [b"live"])
        post.closed.add(b"a")
        assert not post.outbox.send_now(peer(b"a"), [b"lost"])
        assert 0 == post.outbox.messages
        post.outbox.send(peer(b"a"), [b"result"])
        post.closed.clear()
        assert not post.outbox.send_now(peer(b"a"), [b"early"])
        post.until(lambda: len(post.arrived[b"a"]) == 2)
        assert [b"live", b"result"] == post.arrived[b"a"]


def test_the_bulk_goes_first_and_the_greediest_pays() -> None:
    """Over the bound the oldest big result of who has most is replaced by its short one; others lose nothing."""
    with contextlib.closing(Post(bytes_max=10 * MIB)) as post:
        post.closed |= {b"greedy1", b"greedy2", b"modest"}
        post.outbox.send(peer(b"modest", uid=2), [b"m" * (3 * MIB)], lambda: [b"modest lost"])
        for number in range(6):
            name = b"greedy1" if number % 2 else b"greedy2"  # connections of one owner count together
            post.outbox.send(peer(name), [bytes([65 + number]) * (2 * MIB)], lambda: [b"short"])
            assert post.outbox.bytes <= 10 * MIB
        post.closed.clear()
        post.until(lambda: not post.outbox.messages)
        assert [3 * MIB] == [len(text) for text in post.arrived[b"modest"]]
        came = post.arrived[b"greedy1"] + post.arrived[b"greedy2"]
        assert (3, 3) == (came.count(b"short"), post.outbox.dropped)
        assert {b"D" * (2 * MIB), b"E" * (2 * MIB), b"F" * (2 * MIB)} == {text for text in came if text != b"short"}


def test_too_old_is_dropped_and_counted() -> None:
    """What nobody took within its time is gone, and what is younger is not."""
    with contextlib.closing(Post(age_s_max=0.05)) as post:
        told: list[int] = []
        post.outbox.on_dropped = lambda: told.append(1)
        post.closed.add(b"a")
        post.outbox.send(peer(b"a"), [b"old"])
        post.until(lambda: post.outbox.dropped)
        post.outbox.send(peer(b"a"), [b"young"])
        post.closed.clear()
        post.until(lambda: not post.outbox.messages)
        assert ([b"young"], [1]) == (post.arrived[b"a"], told)


def test_for_a_peer_that_is_gone_nothing_is_kept() -> None:
    """The answer is False at once, and what waited for it is dropped and counted."""
    with contextlib.closing(Post()) as post:
        post.closed.add(b"a")
        post.outbox.send(peer(b"a"), [b"one"])
        post.outbox.send(peer(b"a"), [b"two"])
        post.gone.add(b"a")
        post.until(lambda: not post.outbox.messages)
        assert 2 == post.outbox.dropped
        assert not post.outbox.send(peer(b"a"), [b"three"])
        assert (0, 0) == (post.outbox.messages, post.outbox.bytes)


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 3 * BIG_BYTES), st.booleans()), max_size=40)
)
def test_the_bounds_hold_whatever_is_sent(sent: list[tuple[bytes, int, bool]]) -> None:
    """Invariant: after every send bytes and messages are within their bounds, and the sums are true."""
    with contextlib.closing(Post(bytes_max=5 * BIG_BYTES, messages_max=8)) as post:
        post.closed |= {b"a", b"b", b"c"}
        for name, size, is_result in sent:
            post.outbox.send(peer(name, uid=name[0] % 2), [b"x" * size], (lambda: [b"short"]) if is_result else None)
            letters = [letter for box in post.outbox._boxes.values() for letter in box.letters]
            assert (len(letters), sum(letter.size for letter in letters)) == (post.outbox.messages, post.outbox.bytes)
            assert post.outbox.messages <= 8
            assert post.outbox.bytes <= 5 * BIG_BYTES


@pytest.fixture
def context() -> Any:
    with zmq.Context() as found:
        yield found


def test_a_deaf_peer_with_a_thousand_big_results(context: zmq.Context[Any], tmp_path: Path) -> None:
    """1,000 results of 1 MiB for a peer that reads nothing cost bounded memory, and another peer is served meanwhile."""
    reactor, came = Reactor(), []
    frontend = Frontend(context, reactor, lambda peer, frames: came.append((peer, bytes(frames[0]))))
    frontend.outbox._bounds = Bounds(bytes_max=32 * MIB)
    frontend.bind(f"ipc://{tmp_path}/s", None)
    deaf, other = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    deaf.setsockopt(zmq.RCVHWM, 1)
    for dealer in (deaf, other):
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(f"ipc://{tmp_path}/s")
    deaf.send(b"deaf")
    other.send(b"other")
    due_s = time.monotonic() + GIVE_UP_S
    while len(came) < 2:
        assert time.monotonic() < due_s
        reactor.call_later(0.01, lambda: None)
        reactor.turn()
    peers = {name: found for found, name in came}
    before = psutil.Process().memory_info().rss
    peak = 0
    for number in range(1_000):
        result = [b"%d" % number, bytes([number % 256]) * MIB]
        assert frontend.send(peers[b"deaf"], result, lambda: [b"short"])
        del result
        if number % 50 == 0:
            peak = max(peak, psutil.Process().memory_info().rss)
            assert frontend.send(peers[b"other"], [b"%d" % number])
            assert other.poll(int(GIVE_UP_S * 1000))
            assert b"%d" % number == other.recv()
    assert peak - before < 150 * MIB
    assert frontend.outbox.bytes <= 32 * MIB
    # Once it reads, it gets one answer for each, in order of their coming.
    got = 0
    while got < 1_000:
        assert time.monotonic() < due_s + GIVE_UP_S
        reactor.call_later(0.002, lambda: None)
        reactor.turn()
        while deaf.poll(0):
            deaf.recv_multipart()
            got += 1
    for dealer in (deaf, other):
        dealer.close(0)
    frontend.close()
    reactor._epoll.close()

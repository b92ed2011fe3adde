"""Replies on their way out: sent at once, or kept within bounds and tried again, or dropped and counted.

ZeroMQ has a queue for each peer that is bounded in messages and not in bytes, and says nothing when it has sent one. So
big messages are sent tracked, only so much of them stands in ZeroMQ's queue of one peer at a time, and the rest waits here.
Where too much waits, whoever has the most loses first: of a result the bulk goes, and a short reply that says so stays in
its place; what is short already, or too old, goes as a whole.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import zmq

from warmfork.wire import limits
from warmfork.wire.frames import Frames
from warmfork_daemon.reactor import Reactor, Timer, monotonic_s

if TYPE_CHECKING:
    from warmfork_daemon.frontend import Peer

KEPT_BYTES_MAX: Final = 256 * limits.MIB
KEPT_MESSAGES_MAX: Final = 20_000
KEPT_S_MAX: Final = 60.0
IN_FLIGHT_BYTES_MAX: Final = 8 * limits.MIB
"""In ZeroMQ's queue of one peer; a single message may be bigger, and is then alone there."""

BIG_BYTES: Final = 16 * limits.KIB
_OVERHEAD_BYTES: Final = 512
_RETRY_S: Final = 0.002
_RETRY_S_MAX: Final = 0.1


class Sent(enum.Enum):
    """What became of a message that was handed to ZeroMQ. GONE: its peer is not connected any more."""

    YES = "yes"
    FULL = "full"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait: bytes and messages of all peers together, and for how long; bytes in flight to each peer."""

    bytes_max: int = KEPT_BYTES_MAX
    messages_max: int = KEPT_MESSAGES_MAX
    age_s_max: float = KEPT_S_MAX
    in_flight_bytes_max: int = IN_FLIGHT_BYTES_MAX


@dataclass(slots=True, eq=False)
class _Letter:
    frames: Frames
    size: int
    expires_s: float
    instead: Callable[[], Frames] | None


@dataclass(slots=True, eq=False)
class _Box:
    """What waits for one peer, and what ZeroMQ has of it and is not done with."""

    peer: Peer
    letters: deque[_Letter] = field(default_factory=deque)
    bytes_: int = 0
    in_flight: deque[tuple[zmq.MessageTracker, int]] = field(default_factory=deque)

    def in_flight_bytes(self) -> int:
        while self.in_flight and self.in_flight[0][0].done:
            self.in_flight.popleft()
        return sum(size for _, size in self.in_flight)


class Outbox:
    """All messages to peers.

    Args:
        reactor: the event loop.
        transmit: hands a message to ZeroMQ without waiting; the tracker is of a big message that was taken.
        bounds: of what is kept.

    Attributes:
        dropped: messages that were kept and never sent, and results whose bulk was; since the start.
        on_dropped: called for each of them.
    """

    def __init__(
        self,
        reactor: Reactor,
        transmit: Callable[[Peer, Frames, bool], tuple[Sent, zmq.MessageTracker | None]],
        bounds: Bounds = Bounds(),
    ) -> None:
        self._reactor = reactor
        self._transmit = transmit
        self._bounds = bounds
        self._boxes: dict[tuple[int, bytes], _Box] = {}
        self._retry: Timer | None = None
        self._pause_s = _RETRY_S
        self.bytes = 0
        self.messages = 0
        self.dropped = 0
        self.on_dropped: Callable[[], None] = lambda: None

    def send(self, peer: Peer, frames: Frames, instead: Callable[[], Frames] | None = None) -> bool:
        """Send a message, now or as soon as the peer takes it.

        Args:
            peer: whom to.
            frames: the message.
            instead: makes a short message to send where there is no room for this one.

        Returns:
            False when the peer is gone.
        """
        size = sum(map(len, frames))
        box = self._boxes.get((peer.socket, peer.routing_id))
        sent = Sent.FULL if box is not None and box.letters else self._hand_over(peer, box, frames, size)
        if sent is Sent.FULL:
            self._keep(peer, _Letter(frames, size + _OVERHEAD_BYTES, monotonic_s() + self._bounds.age_s_max, instead))
        elif sent is Sent.GONE and box is not None:
            self._discard(box)
        return sent is not Sent.GONE

    def send_now(self, peer: Peer, frames: Frames) -> bool:
        """Send something that may as well not arrive: only if nothing waits for this peer, and never kept."""
        box = self._boxes.get((peer.socket, peer.routing_id))
        if box is not None and box.letters:
            return False
        return self._hand_over(peer, box, frames, sum(map(len, frames))) is Sent.YES

    def _hand_over(self, peer: Peer, box: _Box | None, frames: Frames, size: int) -> Sent:
        big = size > BIG_BYTES
        if box is not None and box.in_flight:
            standing = box.in_flight_bytes()
            if big and standing and standing + size > self._bounds.in_flight_bytes_max:
                return Sent.FULL
        sent, tracker = self._transmit(peer, frames, big)
        if tracker is not None and not tracker.done:
            self._box_of(peer).in_flight.append((tracker, size))
            self._plan(_RETRY_S_MAX)  # only to forget it; nothing waits for it to leave
        return sent

    def _box_of(self, peer: Peer) -> _Box:
        return self._boxes.setdefault((peer.socket, peer.routing_id), _Box(peer))

    def _keep(self, peer: Peer, letter: _Letter) -> None:
        box = self._box_of(peer)
        box.letters.append(letter)
        self._count(box, letter.size, 1)
        while self.bytes > self._bounds.bytes_max or self.messages > self._bounds.messages_max:
            self._drop_one()
        self._plan(_RETRY_S)

    def _count(self, box: _Box, bytes_: int, messages: int) -> None:
        box.bytes_ += bytes_
        self.bytes += bytes_
        self.messages += messages

    def _drop_one(self) -> None:
        """Make room at the cost of the owner who has the most waiting, all connections together."""
        by_owner: dict[int | str, int] = {}
        for box in self._boxes.values():
            by_owner[box.peer.owner] = by_owner.get(box.peer.owner, 0) + box.bytes_
        greediest = max(by_owner, key=lambda owner: by_owner[owner])
        box = max((box for box in self._boxes.values() if box.peer.owner == greediest), key=lambda box: box.bytes_)
        if self.messages <= self._bounds.messages_max:
            for letter in box.letters:
                if letter.instead is not None and letter.size > BIG_BYTES:
                    frames, letter.instead = letter.instead(), None
                    size = sum(map(len, frames)) + _OVERHEAD_BYTES
                    self._count(box, size - letter.size, 0)
                    letter.frames, letter.size = frames, size
                    self._note_drop()
                    return
        self._pop(box)
        self._note_drop()

    def _pop(self, box: _Box) -> None:
        letter = box.letters.popleft()
        self._count(box, -letter.size, -1)

    def _discard(self, box: _Box) -> None:
        """The peer is gone."""
        while box.letters:
            self._pop(box)
            self._note_drop()
        self._boxes.pop((box.peer.socket, box.peer.routing_id), None)

    def _note_drop(self) -> None:
        self.dropped += 1
        self.on_dropped()

    def _plan(self, pause_s: float) -> None:
        if self._retry is None:
            self._pause_s = pause_s
            self._retry = self._reactor.call_later(pause_s, self._try_again)
        elif pause_s < self._pause_s and self._retry.due_s > monotonic_s() + pause_s:
            self._retry.cancel()
            self._retry = None
            self._plan(pause_s)

    def _try_again(self) -> None:
        self._retry = None
        now_s = monotonic_s()
        moved = [self._empty(box, now_s) for box in list(self._boxes.values())]
        if self._boxes:
            self._plan(_RETRY_S if any(moved) else min(_RETRY_S_MAX, self._pause_s * 2))

    def _empty(self, box: _Box, now_s: float) -> bool:
        """Send what the peer takes. True when it took anything."""
        progress = False
        while box.letters:
            letter = box.letters[0]
            if letter.expires_s <= now_s:
                self._pop(box)
                self._note_drop()
                continue
            sent = self._hand_over(box.peer, box, letter.frames, letter.size - _OVERHEAD_BYTES)
            if sent is Sent.FULL:
                return progress
            if sent is Sent.GONE:
                self._discard(box)
                return progress
            self._pop(box)
            progress = True
        if not box.in_flight_bytes():
            self._boxes.pop((box.peer.socket, box.peer.routing_id), None)
        return progress

    def close(self) -> None:
        """Send what still goes without waiting, and drop the rest."""
        now_s = monotonic_s()
        for box in list(self._boxes.values()):
            self._empty(box, now_s)
            self._discard(box)
        if self._retry is not None:
            self._retry.cancel()

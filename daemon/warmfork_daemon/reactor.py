"""The one event loop: ZeroMQ sockets, file descriptors and timers, all on one thread.

Descriptors live in one epoll set whose own descriptor is polled beside the ZeroMQ sockets, so the cost of a turn does
not grow with the number of idle workers. Callbacks run to their end; nothing else touches the daemon's state.

A callback that meets a shortage of the machine (no memory, no descriptors, no space) and does not deal with it costs what
it was about to do, not the daemon: it is logged, and the loop goes on. Anything else that it raises is a defect: it comes out,
or goes to ``on_defect`` where somebody wants it.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import select
import time
from collections.abc import Callable
from typing import Any, Final

import zmq

from warmfork_daemon.logs import told
from warmfork_daemon.shortage import is_shortage

log = logging.getLogger("warmfork.reactor")

_EVENTS_A_TURN: Final = 64
_IN: Final = int(zmq.POLLIN)
_DEAD_TIMERS_MAX: Final = 256
_SHORTAGE_PAUSE_S: Final = 0.01

monotonic_s = time.monotonic


class Timer:
    """A pending call; ``cancel`` disarms it, any number of times."""

    __slots__ = ("_on_cancel", "callback", "due_s")

    def __init__(self, due_s: float, callback: Callable[[], None], on_cancel: Callable[[], None]) -> None:
        self.due_s = due_s
        self.callback: Callable[[], None] | None = callback
        self._on_cancel = on_cancel

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self._on_cancel()


class Reactor:
    """Waits for whatever comes first and calls who asked for it.

    Attributes:
        on_defect: called with what a callback raised; None to let it out of ``turn``.
        turns: how many there were.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], None]] = {}
        self._armed: set[int] = set()
        self._sockets: dict[zmq.Socket[Any], Callable[[], None]] = {}
        self._polled: list[tuple[Any, int]] = []
        self._list_polled()
        self._timers: list[tuple[float, int, Timer]] = []
        self._dead_timers = 0
        self._order = itertools.count()
        self.turns = 0
        self._at_end: list[Callable[[], None]] = []
        self._stopped = False
        self.on_defect: Callable[[Exception], None] | None = None

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` whenever ``fd`` has something to read or has ended."""
        self._readers[fd] = on_readable
        self._arm(fd)

    def watch_writable(self, fd: int, on_writable: Callable[[], None]) -> None:
        """Call ``on_writable`` whenever ``fd`` can take bytes."""
        self._writers[fd] = on_writable
        self._arm(fd)

    def unwatch_writable(self, fd: int) -> None:
        """Take ``watch_writable`` back."""
        if self._writers.pop(fd, None) is not None:
            self._arm(fd)

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; must come before it is closed."""
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)
        if fd in self._armed:
            self._armed.discard(fd)
            self._epoll.unregister(fd)

    def _arm(self, fd: int) -> None:
        wanted = (select.EPOLLIN if fd in self._readers else 0) | (select.EPOLLOUT if fd in self._writers else 0)
        if not wanted:
            self._armed.discard(fd)
            self._epoll.unregister(fd)
        elif fd in self._armed:
            self._epoll.modify(fd, wanted)
        else:
            self._epoll.register(fd, wanted)
            self._armed.add(fd)

    def watch_socket(self, socket: zmq.Socket[Any], on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` while a ZeroMQ socket has messages."""
        self._sockets[socket] = on_readable
        self._list_polled()

    def unwatch_socket(self, socket: zmq.Socket[Any]) -> None:
        """Forget a ZeroMQ socket."""
        self._sockets.pop(socket, None)
        self._list_polled()

    def _list_polled(self) -> None:
        self._polled = [(socket, _IN) for socket in self._sockets]
        self._polled.append((self._epoll.fileno(), _IN))

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once, ``delay_s`` seconds from now by the monotonic clock."""
        timer = Timer(monotonic_s() + delay_s, callback, self._note_cancelled)
        heapq.heappush(self._timers, (timer.due_s, next(self._order), timer))
        return timer

    def call_every(self, interval_s: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` again and again, first after one interval; what it raises does not end that."""

        def again() -> None:
            self.call_later(interval_s, again)
            callback()

        self.call_later(interval_s, again)

    def call_at_turns_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, when whoever calls now has returned and all other events of this turn are dealt with."""
        self._at_end.append(callback)

    def _note_cancelled(self) -> None:
        """Forget cancelled timers once they are most of all: a job's deadline, say, is cancelled minutes before it is due."""
        self._dead_timers += 1
        if self._dead_timers > _DEAD_TIMERS_MAX and 2 * self._dead_timers > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._dead_timers = 0

    def stop(self) -> None:
        """Let ``run`` return after this turn."""
        self._stopped = True

    def run(self) -> None:
        """Turn until ``stop``."""
        while not self._stopped:
            self.turn()

    def turn(self) -> None:
        """Wait for the next event or timer, and call whoever is due."""
        ready: Any
        self.turns += 1
        for ready, _ in zmq.zmq_poll(self._polled, 0 if self._at_end else self._timeout_ms()):
            if type(ready) is int:
                self._call_descriptors()
                continue
            on_readable = self._sockets.get(ready)
            if on_readable is not None:
                self._call(on_readable)
        self._call_timers()
        if self._at_end:
            now, self._at_end = self._at_end, []
            for callback in now:
                self._call(callback)

    def _timeout_ms(self) -> int:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
            self._dead_timers -= 1
        if not self._timers:
            return -1
        # Rounded up: a turn that comes a moment too early would spin until the timer is due.
        return max(0, int((self._timers[0][0] - monotonic_s()) * 1000) + 1)

    def _call_descriptors(self) -> None:
        for fd, events in self._epoll.poll(0, _EVENTS_A_TURN):
            # A callback may have unwatched what comes later in the same batch: look each up afresh.
            if events & ~select.EPOLLOUT:
                reader = self._readers.get(fd)
                if reader is not None:
                    self._call(reader)
            if events & (select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR):
                writer = self._writers.get(fd)
                if writer is not None:
                    self._call(writer)

    def _call_timers(self) -> None:
        now_s = monotonic_s()
        while self._timers and self._timers[0][0] <= now_s:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is None:
                self._dead_timers -= 1
            else:
                callback, timer.callback = timer.callback, None
                self._call(callback)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as problem:
            if is_shortage(problem):
                log.exception("not done for lack of resources", extra=told(problem=problem))
                time.sleep(_SHORTAGE_PAUSE_S)  # what is still readable calls again at once
            elif self.on_defect is None:
                raise
            else:
                self.on_defect(problem)

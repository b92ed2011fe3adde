"""The reactor calls who asked, in order, once, and waits when there is nothing to do."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zmq

from warmfork_daemon.reactor import Reactor

GIVE_UP_S = 20.0


def in_turn(*acts: Callable[[], object]) -> Callable[[], None]:
    """One callback that does several things."""

    def call() -> None:
        for act in acts:
            act()

    return call


class Loop:
    """A reactor that is turned until something holds, with a timer that ends a test which would wait for ever."""

    def __init__(self) -> None:
        self.reactor = Reactor()

    def until(self, condition: Callable[[], object]) -> None:
        late: list[bool] = []
        alarm = self.reactor.call_later(GIVE_UP_S, lambda: late.append(True))
        while not condition():
            self.reactor.turn()
            assert not late, "the reactor waits for what has happened already"
        alarm.cancel()

    def settle(self) -> None:
        """Turn until everything that is ready now has been called."""
        done: list[bool] = []
        self.reactor.call_later(0.02, lambda: done.append(True))
        self.until(lambda: done)


@pytest.fixture
def loop() -> Iterator[Loop]:
    found = Loop()
    yield found
    found.reactor._epoll.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_timers_come_in_order_of_time(loop: Loop) -> None:
    """Whatever the order they were asked in; those of the same moment in the order they were asked."""
    called: list[str] = []
    for name, delay_s in (("c", 0.003), ("a", 0.001), ("b", 0.002), ("first", 0.0), ("negative", -1.0)):
        loop.reactor.call_later(delay_s, lambda name=name: called.append(name))  # type: ignore[misc]  # bound now
    loop.until(lambda: len(called) == 5)
    assert ["negative", "first", "a", "b", "c"] == called


def test_timers_of_one_moment_keep_their_order(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same due time is no reason to compare callbacks or to swap them."""
    called: list[int] = []
    monkeypatch.setattr("warmfork_daemon.reactor.monotonic_s", lambda: 1.0)
    for number in range(50):
        loop.reactor.call_later(0.0, lambda number=number: called.append(number))  # type: ignore[misc]  # bound now
    loop.reactor.turn()
    assert list(range(50)) == called


def test_a_timer_is_never_early_and_a_turn_waits_for_it(loop: Loop) -> None:
    """One turn without events sleeps until the timer is due: it neither spins nor comes early."""
    called: list[float] = []
    started_s, used_s = time.monotonic(), time.process_time()
    loop.reactor.call_later(0.1, lambda: called.append(time.monotonic()))
    turns = 0
    while not called:
        loop.reactor.turn()
        turns += 1
    assert called[0] - started_s >= 0.1
    assert turns <= 2
    assert time.process_time() - used_s < 0.09


def test_a_cancelled_timer_is_not_called(loop: Loop) -> None:
    """Cancelling disarms, twice too, before its time and from the callback of another of the same moment."""
    called: list[str] = []
    gone = loop.reactor.call_later(0.0, lambda: called.append("gone"))
    gone.cancel()
    gone.cancel()
    loop.reactor.call_later(0.001, lambda: victim.cancel())
    victim = loop.reactor.call_later(0.001, lambda: called.append("victim"))
    last = loop.reactor.call_later(0.002, lambda: called.append("last"))
    loop.until(lambda: called)
    assert ["last"] == called
    last.cancel()


def test_a_cancelled_timer_does_not_wake_the_loop(loop: Loop) -> None:
    """A turn waits for the next live timer, past dead ones before it."""
    called: list[int] = []
    for _ in range(100):
        loop.reactor.call_later(0.0, lambda: called.append(0)).cancel()
    loop.reactor.call_later(0.05, lambda: called.append(1))
    turns = 0
    while not called:
        loop.reactor.turn()
        turns += 1
    assert [1] == called
    assert turns <= 2


def test_a_timer_may_ask_for_timers(loop: Loop) -> None:
    """A callback that plans itself again is called again and does not hold the loop."""
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        loop.reactor.call_later(0.0, tick)

    tick()
    seen: list[bool] = []
    loop.reactor.call_later(0.01, lambda: seen.append(True))
    loop.until(lambda: seen)
    assert len(ticks) > 1


def test_stop_ends_run_after_the_turn(loop: Loop) -> None:
    """``run`` returns when a callback says stop, and the turn is finished first."""
    called: list[str] = []
    loop.reactor.call_later(0.0, in_turn(lambda: called.append("stop"), lambda: loop.reactor.stop()))
    loop.reactor.call_later(0.0, lambda: called.append("same turn"))
    loop.reactor.run()
    assert "stop" == called[0]


def test_readable_until_read(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes that were there before the watch, and bytes left over by the reader, are told again: levels, not edges."""
    ours, theirs = pair
    theirs.send(b"abc")
    read: list[bytes] = []
    loop.reactor.watch(ours.fileno(), lambda: read.append(ours.recv(1)))
    loop.until(lambda: len(read) == 3)
    loop.settle()
    assert [b"a", b"b", b"c"] == read


def test_the_end_of_a_peer_is_readable(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that closes is told as something to read."""
    ours, theirs = pair
    read: list[bytes] = []

    def on_readable() -> None:
        read.append(ours.recv(10))
        if not read[-1]:
            loop.reactor.unwatch(ours.fileno())

    loop.reactor.watch(ours.fileno(), on_readable)
    theirs.send(b"last")
    theirs.close()
    loop.until(lambda: b"" in read)
    assert [b"last", b""] == read


@pytest.mark.parametrize("watch", ["watch", "watch_writable"])
def test_a_broken_pipe_is_told(loop: Loop, watch: str) -> None:
    """A pipe whose other end closed wakes whoever watches it, reader or writer."""
    reading, writing = os.pipe()
    fd, other = (reading, writing) if watch == "watch" else (writing, reading)
    if watch == "watch_writable":
        os.set_blocking(fd, False)
        while True:
            try:
                os.write(fd, b"f" * 4096)
            except BlockingIOError:
                break
    told: list[bool] = []
    getattr(loop.reactor, watch)(fd, in_turn(lambda: told.append(True), lambda: loop.reactor.unwatch(fd)))
    loop.settle()
    assert [] == told
    os.close(other)
    loop.until(lambda: told)
    os.close(fd)
    loop.settle()
    assert [True] == told


def test_the_death_of_a_process_is_told(loop: Loop) -> None:
    """A pidfd is readable once its process has ended, also when that was before the watch."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    fd = os.pidfd_open(pid)
    told: list[bool] = []
    loop.reactor.watch(fd, in_turn(lambda: told.append(True), lambda: loop.reactor.unwatch(fd)))
    loop.until(lambda: told)
    os.close(fd)
    os.waitpid(pid, 0)


def test_writable_when_there_is_room(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """A full socket is told as soon as the peer reads, and not before."""
    ours, theirs = pair
    filled = 0
    while True:
        try:
            filled += ours.send(b"f" * 65_536)
        except BlockingIOError:
            break
    told: list[bool] = []
    loop.reactor.watch_writable(
        ours.fileno(), in_turn(lambda: told.append(True), lambda: loop.reactor.unwatch_writable(ours.fileno()))
    )
    loop.settle()
    assert [] == told
    while filled:
        filled -= len(theirs.recv(1 << 20))
    loop.until(lambda: told)
    loop.settle()
    assert [True] == told


def test_reading_and_writing_are_watched_apart(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """Taking the writer back leaves the reader, taking an unknown one back is nothing, ``unwatch`` takes both."""
    ours, theirs = pair
    called: list[str] = []
    loop.reactor.unwatch_writable(ours.fileno())
    loop.reactor.unwatch(ours.fileno())
    loop.reactor.watch(ours.fileno(), in_turn(lambda: called.append("read"), lambda: ours.recv(10)))
    loop.reactor.watch_writable(ours.fileno(), lambda: called.append("write"))
    loop.until(lambda: called)
    assert {"write"} == set(called)
    loop.reactor.unwatch_writable(ours.fileno())
    called.clear()
    theirs.send(b"x")
    loop.until(lambda: called)
    loop.settle()
    assert ["read"] == called
    loop.reactor.watch_writable(ours.fileno(), lambda: called.append("write"))
    loop.reactor.unwatch(ours.fileno())
    theirs.send(b"x")
    loop.settle()
    assert ["read"] == called


def test_watching_again_replaces_the_callback(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """The last callback for a descriptor is the one that is called."""
    ours, theirs = pair
    called: list[str] = []
    loop.reactor.watch(ours.fileno(), lambda: called.append("old"))
    loop.reactor.watch(ours.fileno(), in_turn(lambda: called.append("new"), lambda: ours.recv(10)))
    theirs.send(b"x")
    loop.until(lambda: called)
    assert ["new"] == called


def test_what_a_callback_unwatched_is_not_called(loop: Loop) -> None:
    """Of two ready descriptors, whichever comes first silences the other, though both were in one batch."""
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def on_readable(number: int) -> None:
        called.append(number)
        for ours, _ in pairs:
            loop.reactor.unwatch(ours.fileno())

    for number, (ours, theirs) in enumerate(pairs):
        theirs.send(b"x")
        loop.reactor.watch(ours.fileno(), lambda number=number: on_readable(number))  # type: ignore[misc]  # bound now
    loop.until(lambda: called)
    loop.settle()
    assert 1 == len(called)
    for both in pairs:
        for one in both:
            one.close()


def test_a_number_that_is_used_again_is_watched_anew(loop: Loop) -> None:
    """A descriptor closed after ``unwatch`` and opened again under the same number belongs to its new watcher."""
    called: list[str] = []
    reading, writing = os.pipe()
    loop.reactor.watch(reading, lambda: called.append("old"))
    loop.reactor.unwatch(reading)
    os.close(reading)
    os.close(writing)
    again, other = os.pipe()
    assert reading == again
    loop.reactor.watch(again, in_turn(lambda: called.append("new"), lambda: os.read(again, 1)))
    os.write(other, b"x")
    loop.until(lambda: called)
    assert ["new"] == called
    loop.reactor.unwatch(again)
    os.close(again)
    os.close(other)


def test_more_descriptors_than_a_batch(loop: Loop) -> None:
    """Two hundred ready descriptors are all served, none before others forever."""
    pipes = [os.pipe() for _ in range(200)]
    called: set[int] = set()
    for reading, writing in pipes:
        os.write(writing, b"x")  # never read: each stays ready all the time
        loop.reactor.watch(reading, lambda reading=reading: called.add(reading))  # type: ignore[misc]  # bound now
    loop.until(lambda: len(called) == 200)
    for reading, writing in pipes:
        loop.reactor.unwatch(reading)
        os.close(reading)
        os.close(writing)


@pytest.fixture
def zmq_pair(tmp_path: Path) -> Iterator[tuple[zmq.Socket[Any], zmq.Socket[Any]]]:
    """A ROUTER and a DEALER that are connected over ipc."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
        for one in (router, dealer):
            one.setsockopt(zmq.LINGER, 0)
            one.setsockopt(zmq.SNDHWM, 0)
            one.setsockopt(zmq.RCVHWM, 0)
        router.bind(f"ipc://{tmp_path}/s")
        dealer.connect(f"ipc://{tmp_path}/s")
        yield router, dealer


def receive_into(router: zmq.Socket[Any], got: list[bytes], at_once: int = 1) -> Callable[[], None]:
    def on_readable() -> None:
        for _ in range(at_once):
            try:
                got.append(router.recv_multipart(zmq.NOBLOCK)[1])
            except zmq.Again:
                return

    return on_readable


def test_messages_from_before_the_watch_are_told(loop: Loop, zmq_pair: tuple[zmq.Socket[Any], zmq.Socket[Any]]) -> None:
    """ZeroMQ's descriptor signals edges; what came before the watch began must be told nevertheless."""
    router, dealer = zmq_pair
    for number in range(5):
        dealer.send(b"%d" % number)
    assert router.poll(int(GIVE_UP_S * 1000))
    got: list[bytes] = []
    loop.reactor.watch_socket(router, receive_into(router, got))
    loop.until(lambda: len(got) == 5)
    assert [b"0", b"1", b"2", b"3", b"4"] == got


@pytest.mark.parametrize("at_once", [1, 32, 10_000])
def test_no_message_is_left_behind(loop: Loop, zmq_pair: tuple[zmq.Socket[Any], zmq.Socket[Any]], at_once: int) -> None:
    """However many a callback takes a turn, 2,000 messages are told in order while their sender goes on sending."""
    router, dealer = zmq_pair
    got: list[bytes] = []
    loop.reactor.watch_socket(router, receive_into(router, got, at_once))
    sender = threading.Thread(target=lambda: [dealer.send(b"%d" % number) for number in range(2_000)])
    sender.start()
    loop.until(lambda: len(got) == 2_000)
    sender.join()
    assert [b"%d" % number for number in range(2_000)] == got


def test_sending_swallows_no_wakeup(loop: Loop, zmq_pair: tuple[zmq.Socket[Any], zmq.Socket[Any]]) -> None:
    """A send on the same socket between two turns may eat the edge; the message that came meanwhile is still told."""
    router, dealer = zmq_pair
    dealer.send(b"hello")
    peer = router.recv_multipart()[0]
    got: list[bytes] = []
    loop.reactor.watch_socket(router, receive_into(router, got))
    for number in range(200):
        dealer.send(b"%d" % number)
        router.send_multipart([peer, b"reply"])
        loop.until(lambda number=number: len(got) == number + 1)  # type: ignore[misc]  # bound now
    assert 200 == len(got)


def test_sockets_descriptors_and_timers_side_by_side(
    loop: Loop, zmq_pair: tuple[zmq.Socket[Any], zmq.Socket[Any]], pair: tuple[socket.socket, socket.socket]
) -> None:
    """A flood on a ZeroMQ socket starves neither a descriptor nor a timer."""
    router, dealer = zmq_pair
    ours, theirs = pair
    got: list[bytes] = []
    seen: set[str] = set()

    def refill() -> None:
        receive_into(router, got)()
        dealer.send(b"more")

    loop.reactor.watch_socket(router, refill)
    loop.reactor.watch(ours.fileno(), lambda: seen.add("descriptor"))
    loop.reactor.call_later(0.001, lambda: seen.add("timer"))
    for _ in range(100):
        dealer.send(b"flood")
    theirs.send(b"x")
    loop.until(lambda: {"descriptor", "timer"} == seen)


def test_an_unwatched_socket_is_silent(loop: Loop, zmq_pair: tuple[zmq.Socket[Any], zmq.Socket[Any]]) -> None:
    """After ``unwatch_socket``, also from its own callback, nothing is told."""
    router, dealer = zmq_pair
    told: list[bool] = []
    loop.reactor.watch_socket(router, in_turn(lambda: told.append(True), lambda: loop.reactor.unwatch_socket(router)))
    for _ in range(3):
        dealer.send(b"x")
    loop.until(lambda: told)
    loop.settle()
    loop.reactor.unwatch_socket(router)
    assert [True] == told


def test_cancelled_timers_are_forgotten_long_before_they_are_due(loop: Loop) -> None:
    """However many deadlines of minutes are armed and cancelled, few are kept; those that stand still come, in order."""
    called: list[int] = []
    for number in range(10_000):
        loop.reactor.call_later(600.0, lambda: None).cancel()
        if number % 1_000 == 0:
            loop.reactor.call_later(0.001 * number / 1_000, partial(called.append, number))
    assert len(loop.reactor._timers) < 1_000
    loop.until(lambda: len(called) == 10)
    assert sorted(called) == called


def test_cancelling_twice_counts_once(loop: Loop) -> None:
    """Cancelling again, and cancelling what was called already, forgets no timer that stands."""
    done: list[bool] = []
    fired = loop.reactor.call_later(0.0, lambda: None)
    loop.settle()
    cancelled = loop.reactor.call_later(600.0, lambda: None)
    dead = loop.reactor._dead_timers
    for _ in range(2_000):
        fired.cancel()
        cancelled.cancel()
    assert dead + 1 == loop.reactor._dead_timers
    loop.reactor.call_later(0.001, lambda: done.append(True))
    loop.until(lambda: done)


def test_a_turns_end_comes_after_all_that_was_ready(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """What is to be called at the end of a turn comes after the events and timers of that turn, once, in order."""
    ours, theirs = pair
    order: list[str] = []

    def read() -> None:
        loop.reactor.call_at_turns_end(lambda: order.append("first"))
        loop.reactor.call_at_turns_end(lambda: order.append("second"))
        loop.reactor.call_later(0.0, lambda: order.append("timer"))
        order.append(ours.recv(1).decode())

    loop.reactor.watch(ours.fileno(), read)
    theirs.send(b"r")
    loop.reactor.turn()
    assert ["r", "timer", "first", "second"] == order
    loop.settle()
    assert 4 == len(order)
    loop.reactor.unwatch(ours.fileno())


def test_what_comes_up_at_a_turns_end_waits_for_nothing(loop: Loop) -> None:
    """A callback that asks for another at the end of a turn gets it in the next one, which waits for no event."""
    called: list[bool] = []
    loop.reactor.call_at_turns_end(lambda: loop.reactor.call_at_turns_end(lambda: called.append(True)))
    loop.reactor.turn()
    assert not called
    loop.reactor.turn()
    assert called


def test_a_shortage_at_a_turns_end_costs_one_call(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    """Those behind it are called all the same."""
    called: list[bool] = []

    def fail() -> None:
        raise MemoryError

    loop.reactor.call_at_turns_end(fail)
    loop.reactor.call_at_turns_end(lambda: called.append(True))
    loop.reactor.turn()
    assert called
    assert "lack of resources" in caplog.text


@pytest.mark.parametrize("problem", [MemoryError(), OSError(24, "Too many open files"), OSError(28, "No space left")])
def test_a_shortage_costs_the_call_and_not_the_loop(
    loop: Loop, problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that runs out of something is logged, and whoever comes next is called as ever."""
    called: list[bool] = []

    def fail() -> None:
        raise problem

    loop.reactor.call_later(0.0, fail)
    loop.reactor.call_later(0.001, lambda: called.append(True))
    loop.until(lambda: called)
    assert "lack of resources" in caplog.text


@pytest.mark.parametrize("problem", [ValueError("a defect"), OSError(9, "Bad file descriptor")])
def test_a_defect_comes_out(loop: Loop, problem: Exception) -> None:
    """What is no shortage ends the loop: going on with a broken state would be worse."""

    def fail() -> None:
        raise problem

    loop.reactor.call_later(0.0, fail)
    with pytest.raises(type(problem)):
        loop.settle()

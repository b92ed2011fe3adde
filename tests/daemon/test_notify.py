"""The service manager is told READY, STATUS, RELOADING, STOPPING and WATCHDOG, each when it is true."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from warmfork_daemon.notify import Notifier, ServiceReporter
from warmfork_daemon.reactor import Reactor


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def told(self) -> list[list[str]]:
        """Every message since the last call, each as its lines."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages

    def said(self) -> set[str]:
        return {line for message in self.told() for line in message}


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    abstract = request.param == "abstract"
    made = Manager(f"@warmfork-test-{secrets.token_hex(8)}" if abstract else str(tmp_path / "notify"))
    yield made
    made.socket.close()


@pytest.fixture
def notifier(manager: Manager) -> Iterator[Notifier]:
    made = Notifier.from_environment({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000"})
    yield made
    made.close()


class Daemon:
    """What the reporter asks, as a test wants it answered."""

    def __init__(self) -> None:
        self.summary_text = "0 running"
        self.is_healthy = True

    def reporter(self, reactor: Reactor, notifier: Notifier) -> ServiceReporter:
        return ServiceReporter(reactor, notifier, lambda: self.summary_text, lambda: self.is_healthy)


def turn_for(reactor: Reactor, seconds: float) -> None:
    """Turn the loop for so long by the clock."""
    reactor.call_later(seconds, reactor.stop)
    reactor.run()
    reactor._stopped = False


def turn_until(reactor: Reactor, condition: Callable[[], object], deadline_s: float = 20.0) -> None:
    """Turn the loop until it holds; what wakes the loop are the reporter's own timers."""
    due_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < due_s
        reactor.turn()


def test_the_environment_forgets_the_manager(manager: Manager) -> None:
    """What names the manager's socket is gone from the environment once it was read, and nothing else is."""
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    made = Notifier.from_environment(environ)
    assert {"A": "b"} == environ
    assert (True, 5.0) == (made.active, made.watchdog_s)
    made.close()


@pytest.mark.parametrize(
    "environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "vsock:2:1"}]
)
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    """With no socket that we can speak to, every call does nothing, and no watchdog is fed."""
    made = Notifier.from_environment({**environ, "WATCHDOG_USEC": "1000"})
    made.ready("x")
    made.stopping()
    made.beat()
    assert (False, 0.0) == (made.active, made.watchdog_s)


@pytest.mark.parametrize(
    "told", [{"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "-1"}, {"WATCHDOG_USEC": "soon"}]
)
def test_another_process_watchdog_is_not_ours(manager: Manager, told: dict[str, str]) -> None:
    """A watchdog that is meant for another pid, or is no number, is none."""
    made = Notifier.from_environment({"NOTIFY_SOCKET": manager.address, **told})
    assert 0.0 == made.watchdog_s
    made.close()


def test_each_message(manager: Manager, notifier: Notifier) -> None:
    """Each call is one datagram with the assignments that sd_notify(3) names."""
    notifier.ready("up")
    notifier.status("2 running")
    notifier.stopping()
    notifier.beat()
    assert [
        ["READY=1", "STATUS=up"],
        ["STATUS=2 running"],
        ["STOPPING=1", "STATUS=stopping"],
        ["WATCHDOG=1"],
    ] == manager.told()


def test_a_reload_carries_the_time(manager: Manager, notifier: Notifier) -> None:
    """RELOADING comes with CLOCK_MONOTONIC in microseconds, by which notify-reload tells it from an older one."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    ((reloading, stamp, _),) = manager.told()
    name, _, value = stamp.partition("=")
    assert ("RELOADING=1", "MONOTONIC_USEC") == (reloading, name)
    assert before <= int(value) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_cannot_carry_another_assignment(manager: Manager, notifier: Notifier) -> None:
    """A line break in the status is a blank, and a long one is cut."""
    notifier.status("a\nREADY=1\x00b" + "c" * 1000)
    ((line,),) = manager.told()
    assert line.startswith("STATUS=a READY=1 bccc")
    assert 407 == len(line)


def test_a_manager_that_is_gone_is_no_matter(manager: Manager, notifier: Notifier) -> None:
    """Where nobody receives, or the queue is full, a message is dropped and nothing is raised or waited for."""
    for _ in range(5_000):
        notifier.beat()
    manager.socket.close()
    notifier.status("nobody hears it")


def test_the_status_follows_the_daemon(manager: Manager, notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY comes when the daemon serves and not before; then a status only when it has changed."""
    monkeypatch.setattr("warmfork_daemon.notify.STATUS_INTERVAL_S", 0.01)
    reactor, daemon = Reactor(), Daemon()
    notifier.watchdog_s = 0.0
    reporter = daemon.reporter(reactor, notifier)
    turn_for(reactor, 0.05)
    assert {"STATUS=starting the template"} == manager.said()
    reporter.serving()
    assert [["READY=1", "STATUS=0 running"]] == manager.told()
    turn_for(reactor, 0.05)
    assert [] == manager.told()
    daemon.summary_text = "1 running"
    turn_until(reactor, lambda: select.select([manager.socket], [], [], 0)[0])
    assert [["STATUS=1 running"]] == manager.told()


def test_the_order_of_a_life(manager: Manager, notifier: Notifier) -> None:
    """A reload is announced and ended by READY; stopping is told once, and no READY follows it."""
    reactor = Reactor()
    reporter = Daemon().reporter(reactor, notifier)
    reporter.reloading()
    assert "RELOADING=1" not in manager.said()
    reporter.serving()
    manager.told()
    reporter.reloading()
    reporter.reloaded()
    assert ["RELOADING=1", "READY=1"] == [message[0] for message in manager.told()]
    reporter.stopping()
    reporter.stopping()
    reporter.reloaded()
    assert [["STOPPING=1", "STATUS=stopping: 0 running"]] == manager.told()


def test_beats_come_from_the_loop(manager: Manager, notifier: Notifier) -> None:
    """Several beats a period while the loop turns, and none while it does not."""
    reactor = Reactor()
    Daemon().reporter(reactor, notifier).serving()
    manager.told()
    began_s, beats = time.monotonic(), 0
    while beats < 6:
        turn_until(reactor, lambda: select.select([manager.socket], [], [], 0)[0])
        beats += sum(["WATCHDOG=1"] == message for message in manager.told())
    assert time.monotonic() - began_s >= 0.09  # five pauses of a third of 60 ms
    assert [] == manager.told()


def test_a_daemon_whose_template_hangs_shows_no_life(manager: Manager, notifier: Notifier) -> None:
    """No beat is sent while the template does not answer, and they go on when it does again."""
    reactor, daemon = Reactor(), Daemon()
    daemon.reporter(reactor, notifier).serving()
    daemon.is_healthy = False
    manager.told()
    turn_for(reactor, 0.1)
    assert "WATCHDOG=1" not in manager.said()
    daemon.is_healthy = True
    turn_until(reactor, lambda: "WATCHDOG=1" in manager.said())

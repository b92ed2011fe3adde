"""Telling the service manager how the daemon is: sd_notify(3), written here because it is one datagram.

What names the socket is taken out of the environment when it is read: neither a template nor a job may ever speak for
the daemon. A message that cannot be sent is dropped, never waited for.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final

from warmfork_daemon.reactor import Reactor

NOTIFY_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
STATUS_INTERVAL_S: Final = 1.0
_STATUS_CHARS_MAX: Final = 400
_BEATS_A_PERIOD: Final = 3.0  # sd_watchdog_enabled(3) advises 2; one more survives a slow turn

assert _BEATS_A_PERIOD > 2


class Notifier:
    """The way to the service manager; without one every call does nothing.

    Args:
        address: of the manager's datagram socket: a path, or ``@name`` for the abstract namespace; empty for none.
        watchdog_s: seconds without a sign of life after which the manager kills the daemon; 0 where it does not watch.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """The one that ``environ`` names; its variables are gone from there afterwards."""
        address, usec, pid = (environ.pop(name, "") for name in NOTIFY_VARIABLES)
        if not address.startswith(("/", "@")):
            return cls()
        watched = usec.isdigit() and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if watched else 0.0)

    @property
    def active(self) -> bool:
        """True where there is a manager to tell."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """The daemon serves; after ``reloading`` also: it does so again."""
        self._send("READY=1", _status_line(status))

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status_line(text))

    def reloading(self, status: str = "reloading the configuration") -> None:
        """A reload begins; ``ready`` must follow, whether it succeeds or not.

        The time is what Type=notify-reload tells a new "reloading" from an old one by.
        """
        now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_usec}", _status_line(status))

    def stopping(self, status: str = "stopping") -> None:
        """The daemon ends from here on."""
        self._send("STOPPING=1", _status_line(status))

    def beat(self) -> None:
        """A sign of life for the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # a manager that is gone or busy is no reason to stop serving
                self._socket.sendto("\n".join(assignments).encode("utf-8", "replace"), self._address)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _status_line(text: str) -> str:
    # A line break would begin another assignment.
    return "STATUS=" + "".join(c if c.isprintable() else " " for c in text[:_STATUS_CHARS_MAX])


class ServiceReporter:
    """Reports from the event loop: READY, a live STATUS line, and WATCHDOG while the daemon is really alive.

    The timers are the loop's own, so a loop that hangs in a callback sends nothing, and a manager that watches kills it.

    Args:
        reactor: the event loop.
        notifier: the way out.
        summary: one line on how the daemon is.
        healthy: whether what the daemon cannot serve without still answers; without that no sign of life is sent.
    """

    def __init__(
        self, reactor: Reactor, notifier: Notifier, summary: Callable[[], str], healthy: Callable[[], bool]
    ) -> None:
        self._reactor = reactor
        self._notifier = notifier
        self._summary = summary
        self._healthy = healthy
        self._told = ""
        self._mode = "starting"
        if notifier.active:
            notifier.status("starting the template")
            self._report()
            reactor.call_every(STATUS_INTERVAL_S, self._report)
            if notifier.watchdog_s:
                self._beat()
                reactor.call_every(notifier.watchdog_s / _BEATS_A_PERIOD, self._beat)

    def serving(self) -> None:
        """The daemon listens."""
        self._mode, self._told = "serving", self._summary()
        self._notifier.ready(self._told)

    def reloading(self) -> None:
        """A reload begins; ``reloaded`` must follow."""
        if self._mode == "serving":
            self._mode = "reloading"
            self._notifier.reloading()

    def reloaded(self) -> None:
        """It is over, done or refused; the daemon serves in either case."""
        if self._mode == "reloading":
            self.serving()

    def stopping(self) -> None:
        """The daemon drains and ends; told once."""
        if self._mode != "stopping":
            self._mode = "stopping"
            self._notifier.stopping(f"stopping: {self._summary()}")

    def _report(self) -> None:
        text = {"serving": "", "stopping": "stopping: "}.get(self._mode)
        if text is not None:
            text += self._summary()
            if text != self._told:
                self._told = text
                self._notifier.status(text)

    def _beat(self) -> None:
        # Before it serves, the manager's own start timeout watches; a beat is due from the first moment all the same.
        if self._mode == "starting" or self._healthy():
            self._notifier.beat()

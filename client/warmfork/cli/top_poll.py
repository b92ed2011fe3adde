"""Asking the daemon in the background, so that a daemon that is slow to answer never holds up a key."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warmfork.cli.top_model import outcome_text
from warmfork.client import Client
from warmfork.errors import WarmforkError


@dataclass(frozen=True, slots=True)
class Polled:
    """What is known of the daemon.

    Attributes:
        status: its last answer; None before the first.
        problem: why the last attempt failed; empty when it did not.
        message: what became of the last cancel.
    """

    status: Mapping[str, Any] | None = None
    problem: str = ""
    message: str = ""


class Poller(threading.Thread):
    """Asks for ``status`` again and again, and cancels what it is told to.

    Args:
        client: used by this thread alone.
        interval_s: between two questions.
        first: an answer that is there already.
    """

    def __init__(self, client: Client, interval_s: float, first: Mapping[str, Any]) -> None:
        super().__init__(name="warmfork-top", daemon=True)
        self._client = client
        self._interval_s = interval_s
        self._wake = threading.Event()
        self._cancels: deque[str] = deque()
        self._ending = False
        self.polled = Polled(first)

    def cancel(self, job_id: str) -> None:
        """Cancel a job soon; ``polled.message`` tells what came of it."""
        self._cancels.append(job_id)
        self._wake.set()

    def end(self, timeout_s: float) -> None:
        """Stop asking; wait at most so long for a question that is under way."""
        self._ending = True
        self._wake.set()
        self.join(timeout_s)

    def run(self) -> None:
        """The thread's work."""
        while not self._ending:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            self.turn()

    def turn(self) -> None:
        """Cancel what is asked for, then ask once."""
        message = self.polled.message
        try:
            while self._cancels:
                job_id = self._cancels.popleft()
                message = outcome_text(job_id, self._client.cancel(job_id))
            self.polled = Polled(self._client.status(), "", message)
        except (WarmforkError, ValueError) as problem:  # ValueError: the client was closed meanwhile
            self.polled = Polled(self.polled.status, str(problem), message)

"""Looks at the daemon all the time: which jobs were seen running, whether it answers, how much memory it has had."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Final

import psutil
from tests.faults.rig import Rig

from warmfork import Client, WarmforkError

_INTERVAL_S: Final = 0.03


class Watch:
    """Asks for the status again and again, in a thread of its own.

    Attributes:
        running: ids of jobs that were seen running, by any daemon.
        silences: spells without an answer, as (from, until) by the monotonic clock.
        peak_bytes: most memory that the daemon was seen with, what it shares with nobody.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.running: set[str] = set()
        self.silences: list[tuple[float, float]] = []
        self.peak_bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._answered_s = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        self._answered_s = time.monotonic()
        with Client(self._rig.address, connect_timeout_s=0.5) as client:
            while not self._closing.wait(_INTERVAL_S):
                with contextlib.suppress(WarmforkError):
                    self._take(client.status())
        self._note_silence()

    def _note_silence(self) -> None:
        now_s = time.monotonic()
        if now_s - self._answered_s > 2 * _INTERVAL_S:
            self.silences.append((self._answered_s, now_s))
        self._answered_s = now_s

    def _take(self, status: Any) -> None:
        self._note_silence()
        self.running |= {row["job_id"] for row in status["running"]}
        with contextlib.suppress(psutil.Error):
            self.peak_bytes = max(self.peak_bytes, psutil.Process(status["pid"]).memory_info().rss)

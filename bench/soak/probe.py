"""The latency of a trivial job, asked for again and again from a process of its own.

Its own, because the load's process decodes big results and verifies charts: what a probe waits there would be the client's.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Final

from warmfork import Client
from warmfork.errors import WarmforkError

PAUSE_S: Final = 0.2
_CODE: Final = "print(1 + 1)"
_TIMEOUT_S: Final = 60.0
_JOIN_S: Final = 90.0


class Probe:
    """The process that probes.

    Attributes:
        latencies: when each answer came, by the monotonic clock, and after how many seconds.
        problems: answers that were not ``2``, and errors.
    """

    def __init__(self, address: str, key: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_probe, args=(address, key, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.latencies: list[tuple[float, float]] = []
        self.problems: list[str] = []

    def collect(self) -> None:
        """Take what has come."""
        try:
            while self._ours.poll():
                at_s, latency_s, problem = self._ours.recv()
                if problem:
                    self.problems.append(problem)
                else:
                    self.latencies.append((at_s, latency_s))
        except EOFError:
            if self._process.exitcode:
                self.problems.append(f"the probe ended with {self._process.exitcode}")

    def stop(self) -> None:
        """Let it end after the probe that it is at, and take the last of what has come."""
        self._ours.send(None)
        self._process.join(_JOIN_S)
        self.collect()
        self._ours.close()


def _probe(address: str, key: bytes, theirs: Connection) -> None:
    """Probe until told to stop, or until whoever started it is gone. Runs in the process of its own."""
    with Client(address, key=key) as client:
        try:
            while not theirs.poll(PAUSE_S):
                theirs.send(_ask(client))
            theirs.recv()  # or the end of this process would take with it what the other has not read yet
        except (BrokenPipeError, EOFError):
            pass


def _ask(client: Client) -> tuple[float, float, str]:
    started_s = time.monotonic()
    try:
        result = client.execute(_CODE, timeout_s=_TIMEOUT_S)
    except WarmforkError as error:
        return time.monotonic(), 0.0, f"probe: {error!r}"
    ended_s = time.monotonic()
    right = (result.verdict, result.stdout) == ("ok", "2\n")
    return ended_s, ended_s - started_s, "" if right else f"probe: {result.verdict}, {result.stdout[:200]!r}"

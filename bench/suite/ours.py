"""warmfork itself: private daemons as users start them, with the guard on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from bench.suite.systems import ASYNCIO, LIGHT_OFF, OURS, Done, Unavailable, WrongAnswer, check
from bench.suite.workloads import Workload

from warmfork import AsyncClient, Client
from warmfork.cli.bench_load import Level, phases_of
from warmfork.embedding import EmbeddedDaemon
from warmfork.results import Result

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({OURS: {}, LIGHT_OFF: {"pool.light": "off"}})
"""Of each daemon, by the name that its rows have in the tables."""

_SETTLE_S: Final = 60.0
_LOOK_S: Final = 0.05


class Daemon:
    """A private daemon.

    Args:
        settings: by dotted key, as for ``EmbeddedDaemon``.

    Attributes:
        start_s: seconds until it served.
        settled_s: seconds from its start until it was at rest.
        client: connected to it; None while it does not run.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = dict(settings)
        self._daemon = EmbeddedDaemon(settings=settings)
        self.start_s = self.settled_s = 0.0
        self.client: Client | None = None

    def start(self) -> None:
        """Start it and wait until it is at rest. Raises EmbeddedStartFailed, and Unavailable where it does not settle."""
        started_s = time.perf_counter()
        self._daemon.start()
        self.start_s = time.perf_counter() - started_s
        try:
            self.client = Client(self._daemon.address, key=self._daemon.key)
            self._settle()
        except BaseException:
            self.stop()
            raise
        self.settled_s = time.perf_counter() - started_s

    def _settle(self) -> None:
        due_s = time.perf_counter() + _SETTLE_S
        while reason := why_unsettled(self.status()):
            if time.perf_counter() > due_s:
                raise Unavailable(f"the daemon is not at rest after {_SETTLE_S:g} s: {reason}")
            time.sleep(_LOOK_S)

    def facts(self) -> dict[str, Any]:
        """How it was started, what it guards with and which templates it has."""
        status = self.status()
        return {
            "settings": self.settings,
            "start_s": self.start_s,
            "settled_s": self.settled_s,
            "guard": status["guard"],
            "templates": status["templates"],
        }

    @property
    def pid(self) -> int:
        """Of the daemon's process."""
        assert self._daemon.pid is not None
        return self._daemon.pid

    def async_client(self) -> AsyncClient:
        """A client for the running event loop."""
        return AsyncClient(self._daemon.address, key=self._daemon.key)

    def status(self) -> Any:
        """As ``Client.status``."""
        assert self.client is not None
        return self.client.status()

    def stop(self) -> None:
        """End it."""
        if self.client is not None:
            self.client.close()
            self.client = None
        self._daemon.stop()


def why_unsettled(status: Mapping[str, Any]) -> str:
    """Empty when every template has settled and has its idle workers; else what is not so. Light workers come last of all."""
    for row in status["templates"]:
        if not row["settled"]:
            return f"template {row['name']} has not settled {row['problem']}".rstrip()
        if row["idle"] < row["wanted_idle"]:
            return f"template {row['name']} has {row['idle']} of {row['wanted_idle']} idle workers"
    return ""


class Warmfork:
    """``Client.execute`` from threads, on a daemon of its own.

    Args:
        name: which settings the daemon has.
    """

    callers_max = 64
    costly = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.daemon = Daemon(SETTINGS[name])

    def start(self) -> None:
        """Start the daemon. Raises as ``Daemon.start``."""
        self.daemon.start()

    def call(self, workload: Workload) -> Done:
        """One job, its charts verified."""
        assert self.daemon.client is not None
        started_s = time.perf_counter()
        result = self.daemon.client.execute(workload.code, formats=workload.formats or ("png",))
        return _done(workload, result, time.perf_counter() - started_s, self.name)

    def stop(self) -> None:
        """End the daemon."""
        self.daemon.stop()


class AsyncWarmfork:
    """``AsyncClient.execute`` from tasks of one event loop, all over one connection; for load alone."""

    name = ASYNCIO

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def load(self, workload: Workload, callers: int, seconds: float) -> Level:
        """As ``bench_load.Load``, with tasks for callers."""
        return asyncio.run(self._load(workload, callers, seconds))

    async def _load(self, workload: Workload, callers: int, for_s: float) -> Level:
        taken_s: list[float] = []
        phases_s: dict[str, list[float]] = {}
        async with self._daemon.async_client() as client:
            await client.execute("")
            begun_s = time.perf_counter()
            due_s = begun_s + for_s

            async def call_until_due() -> None:
                while time.perf_counter() < due_s:
                    started_s = time.perf_counter()
                    result = await client.execute(workload.code, formats=workload.formats or ("png",))
                    done = _done(workload, result, time.perf_counter() - started_s, self.name)
                    taken_s.append(done.seconds)
                    for phase, seconds in done.phases_s.items():
                        phases_s.setdefault(phase, []).append(seconds)

            await asyncio.gather(*(call_until_due() for _ in range(callers)))
            ended_s = time.perf_counter()
        phases = {phase: tuple(values) for phase, values in phases_s.items()}
        return Level(callers, ended_s - begun_s, tuple(taken_s), {"ok": len(taken_s)}, phases)


def _done(workload: Workload, result: Result, seconds: float, name: str) -> Done:
    if not result.ok:
        raise WrongAnswer(f"{name}, {workload.letter}: {result.verdict} {result.error}")
    done = Done(seconds, result.stdout, tuple(chart.data for chart in result.charts), phases_of(result))
    check(workload, done, name)
    return done

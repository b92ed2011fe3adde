"""warmfork itself: a private daemon as users start it, with the guard on."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.suite.systems import Done, Unavailable, WrongAnswer, check
from bench.suite.workloads import Workload

from warmfork import AsyncClient, Client
from warmfork.cli.bench_load import Level, phases_of
from warmfork.embedding import EmbeddedDaemon
from warmfork.results import Result


class Daemon:
    """The one daemon that all of our ways to call it share; it has the templates ``science`` and ``light``."""

    def __init__(self) -> None:
        self._daemon = EmbeddedDaemon(settings={"templates.light.base": "none"})
        self.start_s = 0.0
        self.client: Client | None = None

    def start(self) -> None:
        """Start it, once."""
        if self.client is None:
            started_s = time.perf_counter()
            self._daemon.start()
            self.start_s = time.perf_counter() - started_s
            self.client = Client(self._daemon.address, key=self._daemon.key)

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


class Warmfork:
    """``Client.execute`` from threads."""

    callers_max = 64
    costly = False

    def __init__(self, daemon: Daemon, name: str = "warmfork", template: str | None = None) -> None:
        self.name = name
        self._daemon = daemon
        self._template = template

    def start(self) -> None:
        """Start the daemon; Unavailable where it has no such template."""
        self._daemon.start()
        assert self._daemon.client is not None
        names = {template["name"] for template in self._daemon.status()["templates"]}
        if self._template is not None and self._template not in names:
            raise Unavailable(f"the daemon has no template {self._template}")

    def call(self, workload: Workload) -> Done:
        """One job, its charts verified."""
        assert self._daemon.client is not None
        started_s = time.perf_counter()
        result = self._daemon.client.execute(
            workload.code, formats=workload.formats or ("png",), template=self._template
        )
        return _done(workload, result, time.perf_counter() - started_s, self.name)

    def stop(self) -> None:
        """The daemon is ended by whoever made it."""


class AsyncWarmfork:
    """``AsyncClient.execute`` from tasks of one event loop, all over one connection; for load alone."""

    name = "warmfork, asyncio"

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def load(self, workload: Workload, callers: int, seconds: float) -> Level:
        """As ``bench_load.Load``, with tasks for callers."""
        return asyncio.run(self._load(workload, callers, seconds))

    async def _load(self, workload: Workload, callers: int, seconds: float) -> Level:
        taken_s: list[float] = []
        async with self._daemon.async_client() as client:
            await client.execute("")
            begun_s = time.perf_counter()
            due_s = begun_s + seconds

            async def call_until_due() -> None:
                while time.perf_counter() < due_s:
                    started_s = time.perf_counter()
                    result = await client.execute(workload.code, formats=workload.formats or ("png",))
                    _done(workload, result, 0.0, self.name)
                    taken_s.append(time.perf_counter() - started_s)

            await asyncio.gather(*(call_until_due() for _ in range(callers)))
            ended_s = time.perf_counter()
        return Level(callers, ended_s - begun_s, tuple(taken_s), {"ok": len(taken_s)}, {})


def _done(workload: Workload, result: Result, seconds: float, name: str) -> Done:
    if not result.ok:
        raise WrongAnswer(f"{name}, {workload.letter}: {result.verdict} {result.error}")
    done = Done(seconds, result.stdout, tuple(chart.data for chart in result.charts), phases_of(result))
    check(workload, done, name)
    return done

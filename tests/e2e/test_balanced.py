"""Calls divided among several real daemons: all answered, right, and once each; also while a daemon is full, leaves or dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support import Served, wait_until

from warmfork import AsyncBalancedClient, AsyncClient, BalancedClient, Client, DaemonUnreachable, RequestRefused
from warmfork.embedding import EmbeddedDaemon
from warmfork.results import Result

QUICK = {"template.rehearse": False}


def start(**settings: Any) -> EmbeddedDaemon:
    daemon = EmbeddedDaemon(policy="off", workers=2, settings=QUICK | settings)
    daemon.start()
    return daemon


@pytest.fixture(scope="module")
def daemons() -> Iterator[list[EmbeddedDaemon]]:
    two = [start(), start()]
    yield two
    for daemon in two:
        daemon.stop()


def clients_of(daemons: list[EmbeddedDaemon]) -> list[Client]:
    return [Client(daemon.address, key=daemon.key) for daemon in daemons]


def answered(status: Mapping[str, Any] | None) -> int:
    assert status is not None
    return sum(status["jobs"]["by_verdict"].values())


def test_calls_of_many_threads_are_divided(daemons: list[EmbeddedDaemon]) -> None:
    """Each has its own answer with its signed chart, and neither daemon had more than two thirds of them."""
    code = "import os, matplotlib.pyplot as plt\nplt.plot([N])\nprint(N)"
    with BalancedClient(clients_of(daemons)) as client, ThreadPoolExecutor(4) as pool:
        before = [answered(status) for status in client.status()]
        results = list(pool.map(lambda n: client.execute(code.replace("N", str(n))), range(24)))
        assert [0, 0] == client.in_flight
        after = [answered(status) for status in client.status()]
    assert [f"{n}\n" for n in range(24)] == [result.stdout for result in results]
    assert [1] * 24 == [len(result.charts) for result in results]
    parts = [then - at for then, at in zip(after, before, strict=True)]
    assert 24 == sum(parts)
    assert max(parts) <= 16


def test_a_long_job_sends_the_others_to_the_idle_daemon(daemons: list[EmbeddedDaemon]) -> None:
    """While one call lasts at one daemon, calls one at a time all go to the other; and it is cancelled wherever it is."""
    job_id = os.urandom(16).hex()
    verdicts: list[str] = []
    with BalancedClient(clients_of(daemons)) as client:
        long = threading.Thread(
            target=lambda: verdicts.append(client.execute("while True: pass", job_id=job_id).verdict)
        )
        long.start()
        wait_until(lambda: any(status and status["running"] for status in client.status()), "it runs")
        busy = client.in_flight.index(1)
        before = [answered(status) for status in client.status()]
        assert ["ok"] * 4 == [client.execute("print(1)").verdict for _ in range(4)]
        after = [answered(status) for status in client.status()]
        assert (0, 4) == (after[busy] - before[busy], after[1 - busy] - before[1 - busy])
        assert "running" == client.cancel(job_id)
        long.join(20)
        assert ["cancelled"] == verdicts
        assert "unknown" == client.cancel(job_id)


@contextlib.contextmanager
def full_daemon() -> Iterator[tuple[EmbeddedDaemon, Callable[[], None]]]:
    """One that has a job and another that waits, and rejects the next; and what ends these two."""
    full = start(**{"pool.running_max": 1, "queue.jobs_max": 1})
    ids = [os.urandom(16).hex() for _ in range(2)]
    with Client(full.address, key=full.key) as direct:
        jobs = [
            threading.Thread(target=lambda one=one: direct.execute("while True: pass", job_id=one), daemon=True)
            for one in ids
        ]

        def end() -> None:
            for one in ids:
                direct.cancel(one)

        try:
            for job in jobs:
                job.start()
            wait_until(lambda: direct.status()["queue"]["jobs"] == 1, "one runs and one waits")
            yield full, end
            end()
            for job in jobs:
                job.join(20)
        finally:
            full.stop()


def test_what_one_daemon_has_no_room_for_the_other_runs(daemons: list[EmbeddedDaemon]) -> None:
    """``rejected`` by one is offered to the other; by both it is the answer, or the beginning of the next round."""
    with full_daemon() as (full, end), BalancedClient(clients_of([full])) as alone:
        assert "rejected" == alone.execute("print(1)").verdict
        with BalancedClient(clients_of([full, daemons[0]])) as client:
            results = [client.execute("print(1)") for _ in range(4)]
            assert [("ok", "1\n")] * 4 == [(one.verdict, one.stdout) for one in results]
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(alone.execute, "print(2)", retries=100, retry_for_s=60)
            wait_until(lambda: alone.in_flight == [0] and not call.done(), "it was rejected and pauses")
            end()
            assert "2\n" == call.result(60).stdout


def test_asynchronous_calls_go_on_too(daemons: list[EmbeddedDaemon]) -> None:
    """The same, awaited."""

    async def run(full: EmbeddedDaemon, end: Callable[[], None]) -> None:
        async with AsyncBalancedClient([AsyncClient(full.address, key=full.key)]) as alone:
            assert "rejected" == (await alone.execute("print(1)")).verdict
            both = [AsyncClient(daemon.address, key=daemon.key) for daemon in (full, daemons[0])]
            async with AsyncBalancedClient(both) as client:
                assert ["1\n"] * 4 == [(await client.execute("print(1)")).stdout for _ in range(4)]
            call = asyncio.create_task(alone.execute("print(2)", retries=100, retry_for_s=60))
            await asyncio.to_thread(end)
            assert "2\n" == (await call).stdout

    with full_daemon() as (full, end):
        asyncio.run(asyncio.wait_for(run(full, end), 60))


def test_a_daemon_whose_key_cannot_be_read_is_left_out(
    daemons: list[EmbeddedDaemon], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is submitted to it, others answer, and the log says what to mend; alone, it is the error."""
    locked = Client(daemons[0].address, key_file=tmp_path / "none")
    with BalancedClient([locked, *clients_of(daemons[1:])]) as client:
        assert ["ok"] * 4 == [client.execute("print(1)").verdict for _ in range(4)]
        assert [False, True] == [status is not None for status in client.status()]
        assert any("cannot be read" in record.getMessage() for record in caplog.records)
        with BalancedClient([locked]) as alone, pytest.raises(DaemonUnreachable, match="cannot be read"):
            alone.execute("print(1)")


def test_a_daemon_that_dies_and_comes_back(daemons: list[EmbeddedDaemon], serve: Callable[..., Served]) -> None:
    """A job that ran there is lost and not run again, calls go on at the other, and it gets calls again once it is back."""
    served = serve("--no-template-rehearse")
    with BalancedClient([Client(served.address), *clients_of(daemons[:1])]) as client, served.client() as direct:
        lost: list[Result] = []
        callers = [threading.Thread(target=lambda: lost.append(client.execute("while True: pass"))) for _ in range(2)]
        for caller in callers:
            caller.start()
        wait_until(lambda: all(status and status["running"] for status in client.status()), "one runs at each")
        served.process.kill()
        served.process.wait(20)
        wait_until(lambda: lost, "one is lost")
        assert [("lost", False)] == [(one.verdict, one.retry_safe) for one in lost]
        assert [0, 1] == client.in_flight
        assert ["ok"] * 6 == [client.execute("print(1)").verdict for _ in range(6)]
        assert [False, True] == [status is not None for status in client.status()]
        assert [False, True] == [hello is not None for hello in client.hello()]
        with pytest.raises(DaemonUnreachable, match="1 of 2 daemons do not know the job"):
            client.cancel("ab" * 16)
        served.start()
        wait_until(lambda: client.execute("print(1)").ok and answered(direct.status()), "it gets calls again")
        for row in next(filter(None, client.status()[1:]))["running"]:
            assert "running" == client.cancel(row["job_id"])
        for caller in callers:
            caller.join(20)
        assert ["lost", "cancelled"] == [one.verdict for one in lost]


def test_without_any_daemon_nothing_is_submitted(tmp_path: Path) -> None:
    """The error names what was wrong at each address, at once."""
    addresses = [f"ipc://{tmp_path}/{name}.sock" for name in ("one", "two")]
    with BalancedClient(addresses) as client:
        with pytest.raises(DaemonUnreachable, match=r"none of 2(?s:.*)one\.sock(?s:.*)two\.sock"):
            client.execute("print(1)")
        assert [None, None] == client.status()
        assert [0, 0] == client.in_flight


def test_what_a_daemon_refuses_is_raised(daemons: list[EmbeddedDaemon]) -> None:
    """A request that is wrong is wrong everywhere, and keeps no daemon busy."""
    with BalancedClient(clients_of(daemons)) as client:
        with pytest.raises(RequestRefused, match="no-such-template"):
            client.execute("print(1)", template="no-such-template")
        with pytest.raises(ValueError, match="job_id"):
            client.execute("print(1)", job_id="short")
        assert [0, 0] == client.in_flight


async def until(client: AsyncBalancedClient, job_id: str, *, runs: bool) -> None:
    while runs != any(
        job_id == row["job_id"] for status in await client.status() if status for row in status["running"]
    ):
        pass


def test_asynchronous_calls_are_divided_streamed_and_cancelled(daemons: list[EmbeddedDaemon], tmp_path: Path) -> None:
    """As the synchronous ones; a daemon that is not there costs nothing but a look."""

    async def run() -> None:
        there = [AsyncClient(daemon.address, key=daemon.key) for daemon in daemons]
        async with AsyncBalancedClient([*there, f"ipc://{tmp_path}/no.sock"]) as client:
            results = await asyncio.gather(*(client.execute(f"print({n})") for n in range(30)))
            assert [f"{n}\n" for n in range(30)] == [result.stdout for result in results]
            statuses = await client.status()
            assert [True, True, False] == [status is not None for status in statuses]
            assert [True, True, False] == [hello is not None for hello in await client.hello()]
            async with client.stream("print('a', flush=True)\nprint('b')") as reading:
                assert "a\nb\n" == "".join([chunk.text async for chunk in reading])
            told, withdrawn = os.urandom(16).hex(), os.urandom(16).hex()
            task = asyncio.create_task(client.execute("while True: pass", job_id=told))
            await until(client, told, runs=True)
            assert "running" == await client.cancel(told)
            assert "cancelled" == (await task).verdict
            task = asyncio.create_task(client.execute("while True: pass", job_id=withdrawn))
            await until(client, withdrawn, runs=True)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [0, 0, 0] == client.in_flight
            await until(client, withdrawn, runs=False)
            with pytest.raises(DaemonUnreachable, match="2 of 3"):
                await client.cancel(withdrawn)

    asyncio.run(asyncio.wait_for(run(), 60))

"""One daemon, several who want it: turns, refusals, retries, and one answer to each job however often it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.support import wait_until

from warmfork import AsyncClient, Client, RequestRefused, Result
from warmfork.embedding import EmbeddedDaemon
from warmfork.exchange import new_id
from warmfork.link import Link
from warmfork.wire.messages import encode_request
from warmfork.wire.replies import Reply, ResultReply
from warmfork.wire.requests import ExecuteRequest

Daemon = Callable[..., EmbeddedDaemon]
LONG = "import time\nprint('up', flush=True)\ntime.sleep(1.0)\nprint('done')\n"


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Starts private daemons with one worker; keywords are settings, with ``__`` for the dot."""
    started: list[EmbeddedDaemon] = []

    def start(**settings: Any) -> EmbeddedDaemon:
        dotted = {key.replace("__", "."): value for key, value in settings.items()}
        one = EmbeddedDaemon(workers=1, settings={"template.rehearse": False, **dotted})
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[EmbeddedDaemon], Link]]:
    """Opens connections of a client that can be left without a word."""
    context: zmq.Context[Any] = zmq.Context()
    links: list[Link] = []

    def connect_to(of: EmbeddedDaemon) -> Link:
        links.append(Link(context, of.address))
        return links[-1]

    yield connect_to
    for link in links:
        with contextlib.suppress(zmq.ZMQError):  # closed already
            link.close()
    context.destroy(0)


def client_of(of: EmbeddedDaemon) -> Client:
    return Client(of.address, key=of.key)


def send(link: Link, request: ExecuteRequest) -> None:
    assert link.send(encode_request(request), 5.0)


def text_of(reply: Reply | None) -> str:
    assert isinstance(reply, ResultReply)
    assert "ok" == reply.verdict
    return reply.stdout.head.decode()


def ended(client: Client) -> int:
    """How many jobs the daemon has answered."""
    return sum(client.status()["jobs"]["by_verdict"].values())


def runs(client: Client, count: int = 1) -> None:
    wait_until(lambda: len(client.status()["running"]) == count, "the job runs")


class Middleman:
    """A socket in front of the daemon's whose connections can be cut."""

    def __init__(self, path: Path, target: str) -> None:
        self.address = f"ipc://{path}"
        self._target = target.removeprefix("ipc://")
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._pairs.append((near, far))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    @staticmethod
    def _forward(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)

    def cut(self) -> None:
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._pairs.clear()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


@pytest.fixture
def middleman(tmp_path: Path) -> Iterator[Callable[[EmbeddedDaemon], Middleman]]:
    made: list[Middleman] = []

    def make(of: EmbeddedDaemon) -> Middleman:
        made.append(Middleman(tmp_path / "s", of.address))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_flood_delays_another_by_the_job_in_front_of_it(daemon: Daemon) -> None:
    """While 10,000 jobs of one tenant wait, a job of another waits for no more than two of them to end."""
    flooded = daemon(queue__jobs_max=20_000)
    code, count = "import time\ntime.sleep(0.02)", 10_000

    async def flood_and_ask() -> list[int]:
        async with (
            AsyncClient(flooded.address, key=flooded.key) as flood,
            AsyncClient(flooded.address, key=flooded.key) as other,
        ):
            done = 0

            async def one() -> None:
                nonlocal done
                await flood.execute(code, tenant="flood")
                done += 1

            jobs = [asyncio.create_task(one()) for _ in range(count)]
            while (await other.status())["queue"]["jobs"] < count // 2:
                await asyncio.sleep(0.05)
            passed = []
            for _ in range(5):
                before = (await other.status())["jobs"]["by_verdict"].get("ok", 0)
                assert (await other.execute("print(1)", tenant="other")).ok
                passed.append((await other.status())["jobs"]["by_verdict"]["ok"] - 1 - before)
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            return passed

    # Between either look and the job's own stay one job more may end, and some where this process is slow to look.
    passed = sorted(asyncio.run(flood_and_ask()))
    assert passed[2] <= 3
    assert passed[-1] < 50


def test_rejected_says_why_how_many_wait_and_when_to_come(daemon: Daemon) -> None:
    """A full queue of one: the third job is told all three, and with retries it runs in the end."""
    with client_of(daemon(queue__jobs_max=1)) as client, ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.execute, LONG)
        runs(client)
        second = pool.submit(client.execute, LONG)
        wait_until(lambda: client.status()["queue"]["jobs"] == 1, "the second job waits")
        third = client.execute("print(3)")
        assert third.error is not None
        assert ("rejected", "QueueFull", 1, True) == (
            third.verdict,
            third.error.type,
            third.queue_length,
            third.retry_safe,
        )
        assert (third.retry_after_s or 0) >= 0.1
        again = pool.submit(client.execute, "print(3)", retry_for_s=20.0)
        assert ["up\ndone\n", "up\ndone\n", "3\n"] == [job.result(30).stdout for job in (first, second, again)]


def test_retries_end_with_the_deadline(daemon: Daemon) -> None:
    """A call whose deadline passes before there is room is answered ``rejected`` by then."""
    with client_of(daemon(queue__jobs_max=1)) as client, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(client.execute, "while True: pass", job_id=f"{1:032x}")]
        runs(client)
        calls.append(pool.submit(client.execute, "while True: pass", job_id=f"{2:032x}"))
        wait_until(lambda: client.status()["queue"]["jobs"] == 1, "the second job waits")
        assert "rejected" == client.execute("1", retries=100, deadline_s=1.0).verdict
        for n in (2, 1):
            client.cancel(f"{n:032x}")
        assert {"cancelled"} == {call.result(10).verdict for call in calls}


def test_a_hopeless_deadline_is_refused_at_once(daemon: Daemon) -> None:
    """When jobs have taken a while, one that wants to be done before its turn comes does not wait in vain."""
    with client_of(daemon()) as client, ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            client.execute("import time\ntime.sleep(0.2)")
        waiting = [pool.submit(client.execute, "import time\ntime.sleep(0.2)") for _ in range(6)]
        wait_until(lambda: client.status()["queue"]["jobs"] >= 4, "jobs wait")
        hopeless = client.execute("print(1)", deadline_s=0.1)
        assert hopeless.error is not None
        assert ("rejected", "DeadlineHopeless") == (hopeless.verdict, hopeless.error.type)
        assert client.execute("print(1)", deadline_s=60.0).ok
        assert all(job.result(20).ok for job in waiting)


def test_interactive_goes_before_batch(daemon: Daemon) -> None:
    """A batch job that waits longer is run after an interactive one."""
    order: list[str] = []
    with client_of(daemon()) as client, ThreadPoolExecutor(3) as pool:
        pool.submit(client.execute, LONG)
        runs(client)

        def call(priority: str) -> None:
            assert client.execute("import time\ntime.sleep(0.2)", priority=priority).ok
            order.append(priority)

        calls = []
        for number, priority in enumerate(("batch", "interactive"), 1):
            calls.append(pool.submit(call, priority))
            wait_until(lambda number=number: client.status()["queue"]["jobs"] == number, "it waits")  # type: ignore[misc] # bound at once
        for one in calls:
            one.result(20)
    assert ["interactive", "batch"] == order


def test_a_resend_joins_the_running_job_and_both_get_the_answer(
    daemon: Daemon, connect: Callable[[EmbeddedDaemon], Link]
) -> None:
    """The job runs once; who asked first and still waits, and who asked again, get the same reply."""
    one = daemon()
    request = ExecuteRequest(new_id(), LONG.encode())
    first, second = connect(one), connect(one)
    with client_of(one) as client:
        send(first, request)
        runs(client)
        send(second, request)
        assert ["up\ndone\n"] * 2 == [text_of(link.receive(request.id, 10.0)) for link in (second, first)]
        assert {"ok": 1} == dict(client.status()["jobs"]["by_verdict"])


def test_a_resend_of_a_waiting_job_joins_it(daemon: Daemon, connect: Callable[[EmbeddedDaemon], Link]) -> None:
    """It keeps its place and runs once, although the connection that it came by has ended."""
    one = daemon()
    front, request = ExecuteRequest(new_id(), LONG.encode()), ExecuteRequest(new_id(), b"print(2)")
    link, gone, again = connect(one), connect(one), connect(one)
    with client_of(one) as client:
        send(link, front)
        runs(client)
        send(gone, request)
        wait_until(lambda: client.status()["queue"]["jobs"] == 1, "it waits")
        gone.close()
        send(again, request)
        assert "2\n" == text_of(again.receive(request.id, 10.0))
        assert 2 == ended(client)


def test_a_resend_after_the_end_gets_the_same_answer(daemon: Daemon, connect: Callable[[EmbeddedDaemon], Link]) -> None:
    """It is the reply of the one run: the random number is the same."""
    one = daemon()
    request = ExecuteRequest(new_id(), b"import random\nprint(random.random())")
    answers = []
    for _ in range(2):
        link = connect(one)
        send(link, request)
        answers.append(text_of(link.receive(request.id, 10.0)))
        link.close()
    assert answers[0] == answers[1]
    with client_of(one) as client:
        assert 1 == ended(client)


def test_the_same_id_with_other_code_is_refused(daemon: Daemon) -> None:
    """While it runs and after it has ended."""
    job_id = "ab" * 16
    with client_of(daemon()) as client, ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.execute, LONG, job_id=job_id)
        runs(client)
        for _ in range(2):
            with pytest.raises(RequestRefused) as refused:
                client.execute("print('other')", job_id=job_id)
            assert "duplicate_job" == refused.value.code
            assert call.result(10).ok


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({}, "DaemonRestarted"), ({"results__recent_s": 0.0}, "Forgotten"), ({"results__recent_bytes": 0}, "Forgotten")],
)
def test_what_cannot_be_known_is_lost_and_not_run(
    daemon: Daemon, connect: Callable[[EmbeddedDaemon], Link], settings: dict[str, Any], kind: str
) -> None:
    """A job sent to another daemon before, or forgotten here, is not run again, and it is said that a retry is not safe."""
    one = daemon(**settings)
    with client_of(one) as client:
        instance = client.hello().instance if kind == "Forgotten" else "another"
        job_id = new_id()
        assert client.execute("print(1)", job_id=job_id.hex()).ok
        link = connect(one)
        fresh = job_id if kind == "Forgotten" else new_id()
        send(link, ExecuteRequest(fresh, b"print(1)", resend=instance, sent_s_ago=0.5))
        reply = link.receive(fresh, 10.0)
        assert isinstance(reply, ResultReply)
        assert reply.error is not None
        assert ("lost", kind, False) == (reply.verdict, reply.error.type, reply.retry_safe)


def test_a_cut_connection_costs_no_answer(daemon: Daemon, middleman: Callable[[EmbeddedDaemon], Middleman]) -> None:
    """The connection ends under a running job: the client asks again and gets the result of the one run."""
    one = daemon()
    between = middleman(one)
    with client_of(one) as near, Client(between.address, key=one.key) as client, ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.execute, LONG)
        runs(near)
        between.cut()
        assert "up\ndone\n" == call.result(10).stdout
        assert 1 == ended(near)


def test_a_cut_connection_costs_no_answer_asynchronously(
    daemon: Daemon, middleman: Callable[[EmbeddedDaemon], Middleman]
) -> None:
    """All calls in flight on the one connection get their results."""
    one = daemon(pool__running_max=4)
    between = middleman(one)

    async def calls() -> list[Result]:
        async with AsyncClient(between.address, key=one.key) as client, AsyncClient(one.address, key=one.key) as near:
            running = [asyncio.create_task(client.execute(LONG)) for _ in range(4)]
            while len((await near.status())["running"]) < 4:
                await asyncio.sleep(0.02)
            between.cut()
            return await asyncio.gather(*running)

    assert ["up\ndone\n"] * 4 == [result.stdout for result in asyncio.run(calls())]
    with client_of(one) as client:
        assert 4 == ended(client)


@pytest.mark.parametrize("gone", ["cancel", "finish"])
def test_a_client_that_is_gone(daemon: Daemon, connect: Callable[[EmbeddedDaemon], Link], gone: str) -> None:
    """Past the grace period its jobs are cancelled and dropped, or finished, as the operator wants; its process lives on."""
    one = daemon(clients__gone=gone, clients__grace_s=0.1)
    link = connect(one)
    with client_of(one) as client:
        send(link, ExecuteRequest(new_id(), b"import time\ntime.sleep(4)" if gone == "finish" else b"while True: pass"))
        runs(client)
        send(link, ExecuteRequest(new_id(), b"print(2)"))
        wait_until(lambda: client.status()["queue"]["jobs"] == 1, "it waits")
        link.close()
        wait_until(lambda: ended(client) == 2, "both have ended")
        expected = {"cancelled": 2} if gone == "cancel" else {"ok": 2}
        status = client.status()
        assert expected == dict(status["jobs"]["by_verdict"])
        number = int(gone == "cancel")
        assert {"gone": number, "abandoned": {"queued": number, "running": number}} == dict(status["clients"])
        assert status["known_jobs"]["recent_bytes"] > 0


def test_a_client_that_comes_back_in_time(daemon: Daemon, connect: Callable[[EmbeddedDaemon], Link]) -> None:
    """Its connection has ended and that was noticed; a resend within the grace period gets the job's own result."""
    one = daemon(clients__grace_s=30.0)
    request = ExecuteRequest(new_id(), b"import time\ntime.sleep(3)\nprint('kept')")
    link, again = connect(one), connect(one)
    with client_of(one) as client:
        send(link, request)
        runs(client)
        link.close()
        wait_until(lambda: client.status()["running"][0]["running_s"] > 2.2, "it was looked for")
        send(again, request)
        assert "kept\n" == text_of(again.receive(request.id, 10.0))

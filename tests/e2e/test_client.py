"""The clients: threads, many calls at once, cancelling, restarts, and never a hang."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support import Served, environment, run_alone, wait_until

from warmfork import AsyncClient, Client, DaemonUnreachable, KeyUnavailable, ReplyTimeout, RequestRefused
from warmfork.embedding import EmbeddedDaemon
from warmfork.wire.messages import encode_request
from warmfork.wire.replies import ErrorReply
from warmfork.wire.requests import HelloRequest


@pytest.fixture(scope="module")
def daemon():  # type: ignore[no-untyped-def]  # a generator fixture
    private = EmbeddedDaemon(policy="off", workers=4)
    private.start()
    yield private
    private.stop()


def test_no_daemon_is_told_at_once(tmp_path: Path) -> None:
    """Without a daemon the call raises DaemonUnreachable within its bound, and says what to do."""
    started = time.monotonic()
    with Client(f"ipc://{tmp_path}/no.sock") as client, pytest.raises(DaemonUnreachable, match="warmfork serve"):
        client.execute("print(1)")
    assert time.monotonic() - started < 3


def test_a_silent_socket_is_no_daemon(tmp_path: Path) -> None:
    """Somebody who listens and never answers is given up after connect_timeout_s."""
    import socket

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s.sock"))
        silent.listen()
        (tmp_path / "key").write_bytes(bytes(32))
        started = time.monotonic()
        with Client(f"ipc://{tmp_path}/s.sock", connect_timeout_s=0.3) as client, pytest.raises(DaemonUnreachable):
            client.execute("print(1)")
        assert time.monotonic() - started < 5


def test_many_async_calls_wait_for_one_silence_together(tmp_path: Path) -> None:
    """Each looks for itself or learns what another found meanwhile; not one after the other."""
    import socket

    async def run() -> None:
        async with AsyncClient(f"ipc://{tmp_path}/s.sock", connect_timeout_s=0.5) as client:
            ends = await asyncio.gather(*(client.execute("print(1)") for _ in range(20)), return_exceptions=True)
            assert {DaemonUnreachable} == {type(end) for end in ends}

    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s.sock"))
        silent.listen(100)
        (tmp_path / "key").write_bytes(bytes(32))
        started = time.monotonic()
        asyncio.run(run())
    assert time.monotonic() - started < 5  # 1 s; one after the other they take 10


def test_async_no_daemon_is_told_at_once(tmp_path: Path) -> None:
    """The asynchronous client says so too."""

    async def run() -> None:
        async with AsyncClient(f"ipc://{tmp_path}/no.sock") as client:
            with pytest.raises(DaemonUnreachable):
                await client.execute("print(1)")

    asyncio.run(run())


def test_too_long_an_address_is_refused_with_its_reason() -> None:
    """An ipc path that the kernel cannot take is named as such."""
    with Client("ipc:///" + "x" * 120) as client, pytest.raises(DaemonUnreachable, match="107"):
        client.hello()


def test_a_fork_under_a_lock_that_another_thread_holds(daemon: EmbeddedDaemon) -> None:
    """A child that is forked while a thread is at the client's books can use the client."""
    with Client(daemon.address, key=daemon.key) as client:
        client.hello()
        with client._lock:
            child = os.fork()
            if not child:
                signal.alarm(30)  # a child that waits for the lock must not keep the test
                ended = 1
                try:
                    ended = client.execute("print(6 * 7)").stdout != "42\n"
                finally:
                    os._exit(ended)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_threads_share_one_client(daemon: EmbeddedDaemon) -> None:
    """Calls from many threads at once each get their own answer."""
    with Client(daemon.address, key=daemon.key) as client, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: client.execute(f"print({n})"), range(40)))
    assert [f"{n}\n" for n in range(40)] == [result.stdout for result in results]


def test_many_calls_in_flight_on_one_async_client(daemon: EmbeddedDaemon) -> None:
    """One connection carries many calls at once; every answer goes to who asked."""

    async def run() -> list[str]:
        async with AsyncClient(daemon.address, key=daemon.key) as client:
            results = await asyncio.gather(*(client.execute(f"print({n})") for n in range(60)))
            return [result.stdout for result in results]

    assert [f"{n}\n" for n in range(60)] == asyncio.run(run())


def running(client: Client) -> int:
    return len(client.status()["running"])


def test_cancelling_the_task_cancels_the_job(daemon: EmbeddedDaemon) -> None:
    """A cancelled task raises CancelledError at once, and its job is killed."""

    async def run() -> None:
        async with AsyncClient(daemon.address, key=daemon.key) as client:
            task = asyncio.create_task(client.execute("while True: pass"))
            while not (await client.status())["running"]:
                pass
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    with Client(daemon.address, key=daemon.key) as client:
        wait_until(lambda: running(client) == 0, "the job is killed")
        assert client.status()["jobs"]["by_verdict"]["cancelled"] >= 1


LEAVES_EARLY = """
import asyncio, os
from warmfork import AsyncClient

async def main():
    clients = [AsyncClient(os.environ["ADDRESS"], key=bytes.fromhex(os.environ["KEY"])) for _ in range(4)]
    calls = [
        asyncio.create_task(client.execute("import time; time.sleep(30)", timeout_s=40)) for client in clients for _ in range(50)
    ]
    await clients[0].status()
    return calls

print({call.cancelled() for call in asyncio.run(main())})
"""


def test_a_loop_that_ends_under_its_calls_ends_at_once(daemon: EmbeddedDaemon) -> None:
    """asyncio.run cancels what is left: each call ends, asyncio has nothing to complain of, and no job runs on."""
    assert "{True}\n" == run_alone(LEAVES_EARLY, ADDRESS=daemon.address, KEY=daemon.key.hex())
    with Client(daemon.address, key=daemon.key) as client:
        wait_until(lambda: not client.status()["running"] and not client.status()["queue"]["jobs"], "no job is left")


def test_cancel_by_job_id(daemon: EmbeddedDaemon) -> None:
    """cancel() from elsewhere ends a running job, whose own call returns cancelled; an unknown id is unknown."""
    job_id = os.urandom(16).hex()
    with Client(daemon.address, key=daemon.key) as client, ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.execute, "print('up', flush=True)\nwhile True: pass", job_id=job_id)
        wait_until(lambda: running(client) == 1, "the job runs")
        assert "running" == client.cancel(job_id)
        assert "cancelled" == call.result(20).verdict
        assert "unknown" == client.cancel(job_id)


def test_a_queued_job_can_be_cancelled() -> None:
    """A job that waits is cancelled without having run; the queue refuses beyond its bound and says when to retry."""
    private = EmbeddedDaemon(policy="off", workers=1, settings={"queue.jobs_max": 1})
    private.start()
    try:
        ids = [os.urandom(16).hex() for _ in range(2)]
        with Client(private.address, key=private.key) as client, ThreadPoolExecutor(3) as pool:
            first = pool.submit(client.execute, "while True: pass", job_id=ids[0])
            wait_until(lambda: running(client) == 1, "one runs")
            second = pool.submit(client.execute, "print(2)", job_id=ids[1])
            wait_until(lambda: client.status()["queue"]["jobs"] == 1, "one waits")
            refused = client.execute("print(3)")
            assert ("rejected", True) == (refused.verdict, refused.retry_safe)
            assert refused.retry_after_s is not None
            assert refused.retry_after_s > 0
            with pytest.raises(RequestRefused, match="known already"):
                client.execute("print(4)", job_id=ids[1])
            assert "queued" == client.cancel(ids[1])
            assert "cancelled" == second.result(20).verdict
            assert "running" == client.cancel(ids[0])
            assert "cancelled" == first.result(20).verdict
    finally:
        private.stop()


def test_a_deadline_includes_the_queue() -> None:
    """A job whose deadline passes while it waits is rejected unrun."""
    private = EmbeddedDaemon(policy="off", workers=1)
    private.start()
    try:
        with Client(private.address, key=private.key) as client, ThreadPoolExecutor(1) as pool:
            job_id = os.urandom(16).hex()
            first = pool.submit(client.execute, "while True: pass", job_id=job_id)
            wait_until(lambda: running(client) == 1, "one runs")
            late = client.execute("print(1)", deadline_s=0.3)
            assert ("rejected", "", True) == (late.verdict, late.stdout, late.retry_safe)
            client.cancel(job_id)
            first.result(20)
            wait_until(lambda: client.status()["workers"]["by_state"].get("idle"), "a worker is idle")
            assert "timeout" == client.execute("while True: pass", deadline_s=0.5).verdict
    finally:
        private.stop()


def test_the_client_works_again_after_a_restart(serve: Callable[..., Served]) -> None:
    """While the daemon is away calls raise DaemonUnreachable; when it is back the same client works, also with a new key."""
    served = serve()
    with served.client() as client:
        assert client.execute("print(1)").ok
        served.stop()
        with pytest.raises(DaemonUnreachable):
            client.execute("print(2)")
        (served.directory / "key").unlink()
        served.start()
        assert client.execute("plt.plot([1])").charts


def test_async_client_works_again_after_a_restart(serve: Callable[..., Served]) -> None:
    """The asynchronous client finds the daemon again too."""
    served = serve()

    async def run() -> None:
        async with AsyncClient(served.address) as client:
            assert (await client.execute("print(1)")).ok
            await asyncio.to_thread(served.stop)
            with pytest.raises(DaemonUnreachable):
                await client.execute("print(2)")
            await asyncio.to_thread(served.start)
            assert (await client.execute("print(3)")).ok

    asyncio.run(run())


def test_without_its_key_a_client_submits_nothing(serve: Callable[..., Served]) -> None:
    """A client that could not verify charts refuses to start, and says where it looked."""
    served = serve()
    with (
        Client(served.address, key_file=served.directory / "nokey") as client,
        pytest.raises(KeyUnavailable, match="nokey"),
    ):
        client.execute("print(1)")


def test_hello_tells_versions_templates_and_limits(daemon: EmbeddedDaemon) -> None:
    """hello names version, template, libraries with versions, policies and limits."""
    with Client(daemon.address, key=daemon.key) as client:
        hello = client.hello()
    libraries = {library.name: library.version for library in hello.templates[0].libraries}
    assert {"numpy", "pandas", "matplotlib", "seaborn"} <= set(libraries)
    assert all(libraries[name] for name in ("numpy", "pandas", "matplotlib", "seaborn"))
    assert ("science", 120.0) == (hello.templates[0].name, hello.limits["timeout_s"])
    assert {"strict", "standard", "off"} == set(hello.policies)


def test_a_forked_child_gets_its_own_connections(daemon: EmbeddedDaemon) -> None:
    """A client used before os.fork works in the child as well."""
    with Client(daemon.address, key=daemon.key) as client:
        assert client.execute("print(1)").ok
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, client.execute("print('child')").stdout.encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            assert "child\n" == told.read()
        os.waitpid(pid, 0)


def test_wrong_arguments_raise_where_they_are_given(daemon: EmbeddedDaemon) -> None:
    """Arguments of the wrong kind raise TypeError or ValueError that names them."""
    with Client(daemon.address, key=daemon.key) as client:
        for arguments, kind, word in (
            ({"formats": "png"}, TypeError, "formats"),
            ({"formats": ("gif",)}, ValueError, "gif"),
            ({"timeout_s": -1}, ValueError, "timeout_s"),
            ({"memory_bytes": 0}, ValueError, "memory_bytes"),
            ({"files": {"../x": b""}}, ValueError, "not allowed"),
            ({"files": {"x": "text"}}, TypeError, "bytes"),
            ({"job_id": "zz"}, ValueError, "job_id"),
        ):
            with pytest.raises(kind, match=word):
                client.execute("print(1)", **arguments)


def test_closed_clients_say_so(daemon: EmbeddedDaemon) -> None:
    """A closed client raises instead of hanging."""
    client = Client(daemon.address, key=daemon.key)
    client.close()
    with pytest.raises(ValueError, match="closed"):
        client.execute("print(1)")


def test_threads_wait_independently(daemon: EmbeddedDaemon) -> None:
    """A long call of one thread does not hold another's."""
    with Client(daemon.address, key=daemon.key) as client:
        job_id = os.urandom(16).hex()
        long = threading.Thread(target=client.execute, args=("while True: pass",), kwargs={"job_id": job_id})
        long.start()
        wait_until(lambda: running(client) == 1, "the long job runs")
        assert client.execute("print(1)").ok
        client.cancel(job_id)
        long.join(20)


INTERRUPTED = (
    # A shell without job control starts what it puts in the background with the signal ignored.
    "import signal, sys\nfrom warmfork import Client\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "with Client(sys.argv[1], key=bytes.fromhex(sys.argv[2])) as client:\n"
    "    try:\n        client.execute('while True: pass')\n"
    "    except KeyboardInterrupt:\n        print('interrupted', flush=True)\n"
    "    sys.stdin.read()\n"
)


def test_ctrl_c_in_a_synchronous_call_cancels_the_job(daemon: EmbeddedDaemon) -> None:
    """KeyboardInterrupt during execute cancels the job at once, while the client process lives on."""
    arguments = [sys.executable, "-c", INTERRUPTED, daemon.address, daemon.key.hex()]
    caller = subprocess.Popen(arguments, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert caller.stdout is not None
    with Client(daemon.address, key=daemon.key) as client:
        wait_until(lambda: running(client) == 1, "the job runs")
        caller.send_signal(signal.SIGINT)
        assert b"interrupted\n" == caller.stdout.readline()
        wait_until(lambda: running(client) == 0, "the job is cancelled")
    assert caller.poll() is None
    caller.communicate()


def test_a_reply_that_does_not_come_is_told_and_the_job_cancelled(
    daemon: EmbeddedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the client's own wait runs out it raises ReplyTimeout, and the daemon is really asked to cancel."""
    monkeypatch.setattr("warmfork.client.wait_s_for", lambda request, hello: 0.5)
    with Client(daemon.address, key=daemon.key) as client:
        with pytest.raises(ReplyTimeout):
            client.execute("while True: pass")
        wait_until(lambda: running(client) == 0, "the job is cancelled")


def test_closing_under_a_call_lets_it_finish(daemon: EmbeddedDaemon) -> None:
    """close() in one thread does not break a call in flight in another."""
    client = Client(daemon.address, key=daemon.key)
    other = Client(daemon.address, key=daemon.key)
    with ThreadPoolExecutor(1) as pool, other:
        call = pool.submit(client.execute, "while not os.path.exists('never'): pass", timeout_s=2)
        wait_until(lambda: running(other) == 1, "the job runs")
        client.close()
        assert "timeout" == call.result(20).verdict


def test_an_async_request_of_another_version_is_refused_at_once(
    daemon: EmbeddedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon of another protocol version answers the request's id, so that nobody waits for a timeout."""
    monkeypatch.setattr("warmfork.wire.messages._V", 2)
    frames = encode_request(HelloRequest(b"i" * 16))
    monkeypatch.undo()
    with Client(daemon.address, key=daemon.key) as client:
        client.hello()
        link = client._idle[0]
        assert link.send(frames)
        reply = link.receive(b"i" * 16, 5)
    assert isinstance(reply, ErrorReply)
    assert ("unsupported_version", b"i" * 16) == (reply.code, reply.id)

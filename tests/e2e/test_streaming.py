"""Output reaches the client while the job runs: by callback, by asynchronous loop, and on the terminal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import environment, wait_until

from warmfork import AsyncClient, Client, embedded
from warmfork.embedding import EmbeddedDaemon
from warmfork.streaming import OutputChunk

WAITS = "import os, time\nprint('begun é')\nwhile True: time.sleep(0.01)"


@pytest.fixture(scope="module")
def daemon() -> Iterator[EmbeddedDaemon]:
    private = EmbeddedDaemon(policy="off", workers=3)
    private.start()
    yield private
    private.stop()


@pytest.fixture
def own(daemon: EmbeddedDaemon) -> Iterator[Client]:
    with Client(daemon.address, key=daemon.key) as client:
        yield client


def test_output_comes_while_the_job_runs(own: Client) -> None:
    """The callback is called before the job has ended; together its texts are the result's."""
    heard: list[tuple[str, str]] = []
    job_id = "ab" * 16

    def listen(stream: str, text: str) -> None:
        heard.append((stream, text))
        if "begun é\n" in text:
            own.cancel(job_id)  # the job would run for ever: it can only have been heard before its end

    result = own.execute(WAITS, on_output=listen, job_id=job_id, timeout_s=30)
    assert ("cancelled", "begun é\n") == (result.verdict, result.stdout)
    assert [("stdout", "begun é\n")] == heard


@pytest.mark.parametrize("count", [0, 3, 40_000])
def test_what_is_told_is_what_the_result_has(own: Client, count: int) -> None:
    """Both streams, from nothing to more than is kept: the texts are the result's, with the note of what was dropped."""
    heard: dict[str, list[str]] = {"stdout": [], "stderr": []}
    code = f"import sys\nfor n in range({count}):\n    print('é', n)\n    print('err', n, file=sys.stderr)"
    result = own.execute(code, on_output=lambda stream, text: heard[stream].append(text))
    assert "ok" == result.verdict
    assert (result.stdout, result.stderr) == ("".join(heard["stdout"]), "".join(heard["stderr"]))
    assert (count > 3) == bool(result.dropped.stdout_bytes)


def test_a_callback_that_raises_costs_no_result(own: Client) -> None:
    """The result comes whole although the callback failed at the first piece."""

    def fail(stream: str, text: str) -> None:
        raise RuntimeError("no")

    assert "1\n" == own.execute("import time\nprint(1)\ntime.sleep(0.1)", on_output=fail).stdout


def test_a_slow_callback_loses_nothing(own: Client) -> None:
    """While the callback works the daemon goes on; what could not be streamed meanwhile comes with the result."""
    pause, heard = threading.Event(), []

    def listen(stream: str, text: str) -> None:
        heard.append(text)
        pause.wait(0.05)

    result = own.execute("import time\nfor n in range(40):\n    print(n)\n    time.sleep(0.01)", on_output=listen)
    assert result.stdout == "".join(heard)


@pytest.mark.parametrize("by_daemon", [False, True])
def test_a_redacted_job_streams_nothing_but_its_redacted_end(by_daemon: bool, own: Client) -> None:
    """A secret printed in pieces is never seen, whoever asked for redaction: all of the text comes at the end."""
    code = "import sys, time\nfor c in 'password=hunter2\\n':\n    sys.stdout.write(c)\n    time.sleep(0.015)"
    heard: list[str] = []

    def listen(stream: str, text: str) -> None:
        heard.append(text)

    if by_daemon:
        with embedded(workers=1, settings={"results.redact": True, "template.rehearse": False}) as client:
            result = client.execute(code, on_output=listen)
    else:
        result = own.execute(code, on_output=listen, redact=True)
    assert "password=[REDACTED]\n" == result.stdout
    assert ["password=[REDACTED]\n"] == heard


def test_an_asynchronous_loop_reads_while_the_job_runs(daemon: EmbeddedDaemon) -> None:
    """The loop gives chunks before the end and ends with the job; the result is whole; the block may be left early."""

    async def run() -> None:
        async with AsyncClient(daemon.address, key=daemon.key) as client:
            code = "import time\nfor n in range(3):\n    print(n)\n    time.sleep(0.05)"
            async with client.stream(code) as running:
                chunks = [chunk async for chunk in running]
                result = await running.result()
            assert len(chunks) > 1
            assert result.stdout == "".join(chunk.text for chunk in chunks) == "0\n1\n2\n"
            async with client.stream(WAITS, timeout_s=30) as running:
                assert OutputChunk("stdout", "begun é\n") == await anext(aiter(running))
            status = await client.status()
            while status["running"]:
                status = await client.status()
            assert 1 <= status["jobs"]["by_verdict"]["cancelled"]

    asyncio.run(run())


def test_errors_of_a_streamed_job_are_raised(tmp_path: Path) -> None:
    """Without a daemon the loop raises, as ``execute`` would; it does not look like a job without output."""

    async def run() -> None:
        async with AsyncClient(f"ipc://{tmp_path}/no.sock") as client, client.stream("print(1)") as running:
            async for _ in running:
                pytest.fail("nothing ran")

    with pytest.raises(Exception, match="warmfork serve"):
        asyncio.run(run())


def test_the_command_prints_while_the_job_runs(daemon: EmbeddedDaemon, tmp_path: Path) -> None:
    """``warmfork run`` shows a line of a job that has not ended; when its reader leaves, it ends and cancels the job."""
    key = tmp_path / "key"
    key.write_bytes(daemon.key)
    key.chmod(0o600)
    script = tmp_path / "job.py"
    script.write_text("import time\nprint('begun', flush=True)\nwhile True:\n    print('x')\n    time.sleep(0.02)")
    command = [sys.executable, "-m", "warmfork", "run", str(script), "--address", daemon.address]
    process = subprocess.Popen(
        [*command, "--key-file", str(key)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process:
        assert b"begun\n" == process.stdout.readline()
        process.stdout.close()
        wait_until(lambda: process.poll() is not None, "the command ends with its reader")
    assert 141 == process.returncode
    with Client(daemon.address, key=daemon.key) as client:
        wait_until(lambda: not client.status()["running"], "the job was cancelled")

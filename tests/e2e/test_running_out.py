"""The machine runs out of something: jobs wait or are refused with the reason, status answers, and it ends by itself."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support import Served, wait_until

from warmfork import Client, Result

LEAN = ("--pool-idle-workers", "2", "--pool-running-max", "2", "--no-template-rehearse")


@pytest.fixture
def calls() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def problem_of(client: Client) -> str:
    return str(client.status()["templates"][0]["problem"])


def use_up_and_wait(client: Client, calls: ThreadPoolExecutor) -> Future[Result]:
    """Run jobs on the workers that are left, and one more that has to wait for a new one."""
    done = [calls.submit(client.execute, "print(1)") for _ in range(8)]
    wait_until(lambda: client.status()["queue"]["jobs"] > 0 and problem_of(client), "a job waits, with a reason to see")
    return next(call for call in reversed(done) if not call.done())


def test_descriptors(serve: Callable[..., Served], calls: ThreadPoolExecutor) -> None:
    """Without descriptors for workers jobs wait, and are rejected with the reason when they have waited too long;
    status answers all the time; once there are some, jobs run.
    """
    served = serve(*LEAN, "--queue-wait-s-max", "1.5")
    daemon = psutil.Process(served.process.pid)
    before = daemon.rlimit(resource.RLIMIT_NOFILE)
    with served.client() as client:
        assert "ok" == client.execute("print(1)").verdict
        few = daemon.num_fds() + 40  # room for connections, not for workers
        daemon.rlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        waiting = use_up_and_wait(client, calls)
        assert "descriptors are left" in problem_of(client)
        result = waiting.result(20)
        assert result.error is not None
        assert ("rejected", True) == (result.verdict, result.retry_safe)
        assert "descriptors are left" in result.error.message
        daemon.rlimit(resource.RLIMIT_NOFILE, before)
        wait_until(lambda: client.execute("print(2)").stdout == "2\n", "jobs run again")
        wait_until(lambda: problem_of(client) == "", "the pool has forked again, and says nothing of it any more")


def test_memory_of_the_machine(serve: Callable[..., Served], tmp_path: Path) -> None:
    """While the machine has less memory available than the daemon wants, jobs are rejected with that reason; then they run."""
    file = tmp_path / "warmfork.toml"
    text = "[pool]\nidle_workers = 1\n[template]\nrehearse = false\n[queue]\nmemory_available_bytes = {}\n"
    file.write_text(text.format(1 << 50))
    with serve("--config", str(file)).client() as client:
        result = client.execute("print(1)")
        assert result.error is not None
        assert ("rejected", "MachineMemory", True) == (result.verdict, result.error.type, result.retry_safe)
        assert "1073741824 MiB" in result.error.message
        assert result.retry_after_s
        file.write_text(text.format(0))
        client.reload()
        assert "1\n" == client.execute("print(1)").stdout


def test_a_storm_of_connections(serve: Callable[..., Served]) -> None:
    """More connections than the daemon may have descriptors for: those over the limit are closed, the daemon lives, and
    serves everybody again when the storm is over.
    """
    import socket

    served = serve(*LEAN)
    daemon = psutil.Process(served.process.pid)
    allowed = daemon.rlimit(resource.RLIMIT_NOFILE)
    daemon.rlimit(resource.RLIMIT_NOFILE, (2_400, allowed[1]))
    storm = []
    try:
        for _ in range(1_500):
            peer = socket.socket(socket.AF_UNIX)
            storm.append(peer)
            peer.connect(str(served.socket))
        wait_until(lambda: daemon.num_fds() < 1_000, "those over the limit are closed")
        assert served.process.poll() is None
    finally:
        for peer in storm:
            peer.close()
    wait_until(served.answers, "it answers")
    with served.client() as client:
        assert "1\n" == client.execute("print(1)").stdout


def limit_processes(pid: int, *options: str) -> str:
    """Ask or set how many processes a process's user may have, as that user: root may have no right to do it to others."""
    command = ["prlimit", "--pid", str(pid), "--raw", "--noheadings", "--output", "SOFT", *options]
    done = subprocess.run(
        command, user=65_534, group=65_534, extra_groups=[], cwd="/", check=False, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_pids(short_dir: Path, calls: ThreadPoolExecutor) -> None:
    """When the user may have no more processes jobs wait, the reason is in status, and they run when it ends."""
    short_dir.mkdir()
    served = Served(short_dir, f"pids-{os.getpid()}", LEAN, module=("tests.as_nobody", str(short_dir)))
    served.start()
    try:
        with served.client() as client:
            assert "ok" == client.execute("print(1)").verdict
            before = {pid: limit_processes(pid, "--nproc") for pid in served.processes()}
            for pid in before:
                limit_processes(pid, "--nproc=1:")
            waiting = use_up_and_wait(client, calls)
            assert "fork: " in problem_of(client)
            assert "Resource temporarily unavailable" in problem_of(client)
            for pid, soft in before.items():
                limit_processes(pid, f"--nproc={soft}:")  # those that have ended meanwhile need none
            assert "ok" == waiting.result(30).verdict
            wait_until(lambda: problem_of(client) == "", "nothing is said of it any more")
    finally:
        served.stop()


@pytest.fixture
def tiny_disk(short_dir: Path) -> Iterator[Path]:
    """A directory on a file system of 200 inodes and 8 MiB."""
    short_dir.mkdir()
    mounted: Any = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=200,mode=0700", "none", str(short_dir)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting takes root")
    yield short_dir
    subprocess.run(["umount", "-l", str(short_dir)], check=True)


def use_every_inode(directory: Path) -> None:
    for number in range(1_000):
        (directory / str(number)).touch()


def test_disk_space(tiny_disk: Path, serve: Callable[..., Served], calls: ThreadPoolExecutor) -> None:
    """With a full disk below the runtime directory no worker gets its directories: jobs wait, the reason is in status, and
    they run when there is room. What a job itself writes there fails in the job alone.
    """
    served = serve(*LEAN, "--guard-off", "namespaces,uid", directory=tiny_disk)
    with served.client() as client:
        assert "ok" == client.execute("print(1)").verdict
        filler = tiny_disk / "filler"
        filler.mkdir()
        with pytest.raises(OSError, match="No space left"):
            use_every_inode(filler)
        waiting = use_up_and_wait(client, calls)
        assert "No space left on device" in problem_of(client)
        for path in filler.iterdir():
            path.unlink()
        assert "ok" == waiting.result(30).verdict
        (filler / "big").write_bytes(bytes(6 << 20))
        result = client.execute("open('x', 'wb').write(bytes(4 << 20))")
        assert "disk_limit" == result.verdict
        assert "1\n" == client.execute("print(1)").stdout

"""What tests share besides fixtures: waiting without sleeping, finding our processes, a daemon of one's own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from warmfork import Client

ROOT = Path(__file__).resolve().parents[1]
PACKAGE_PATHS = os.pathsep.join(str(ROOT / name) for name in ("client", "daemon", "worker"))


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 20.0) -> None:
    """Return as soon as ``condition()`` is true; fail with ``what`` when the deadline passes first."""
    pause = threading.Event()
    due_s = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > due_s:
            pytest.fail(f"not within {deadline_s:g} s: {what}")
        pause.wait(0.01)


def run_alone(code: str, **variables: str) -> str:
    """What ``code`` printed in an interpreter of its own, which has our packages; it must end well, and say nothing else.

    Args:
        code: to be run.
        variables: of its environment, besides ours.
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": PACKAGE_PATHS, "OPENBLAS_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def limit_that_leaves(pid: int, count: int = 0) -> int:
    """The RLIMIT_NOFILE that leaves a process so many descriptors: it bounds the numbers, and below there may be gaps."""
    open_now = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    free = (number for number in itertools.count() if number not in open_now)
    return next(itertools.islice(free, count, None))


def need_namespaces(client: Client) -> None:
    """Skip where the machine gives a daemon's default template no namespaces, and so no light companion."""
    layers = next(iter(client.status()["guard"]["templates"].values()))["layers"]
    if "namespaces" not in [layer["name"] for layer in layers if layer["active"]]:
        pytest.skip("no namespaces to be had here, and so no light workers")


def marked_processes(instance: str) -> list[int]:
    """Pids of all processes whose environment carries this ``WARMFORK_INSTANCE``; zombies have none."""
    mark = f"WARMFORK_INSTANCE={instance}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # gone, or not ours to read
    return found


def environment(**extra: str) -> dict[str, str]:
    """This process's environment with the checkout's packages on the path."""
    paths = os.pathsep.join(filter(None, [PACKAGE_PATHS, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": paths, **extra}


@dataclass
class Served:
    """A ``warmfork serve`` of its own.

    Attributes:
        directory: its runtime directory.
        instance: the mark of its processes.
        module: what Python is given to run: ``warmfork``, or ``tests.as_nobody`` with its directory.
        process: of the daemon.
    """

    directory: Path
    instance: str
    arguments: tuple[str, ...]
    module: tuple[str, ...] = ("warmfork",)
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def address(self) -> str:
        return f"ipc://{self.directory}/warmfork.sock"

    @property
    def socket(self) -> Path:
        return self.directory / "warmfork.sock"

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.module, "serve", "--runtime-dir", str(self.directory), *self.arguments],
            env=environment(WARMFORK_INSTANCE=self.instance),
            stdin=subprocess.DEVNULL,
        )
        wait_until(lambda: self.answers() or self.process.poll() is not None, "the daemon answers", 60.0)
        assert self.process.poll() is None

    def answers(self) -> bool:
        """True when a client gets a hello."""
        if not self.socket.exists() or not (self.directory / "key").exists():
            return False
        with Client(self.address, connect_timeout_s=0.5) as client:
            try:
                return bool(client.hello().templates)
            except Exception:
                return False

    def client(self) -> Client:
        return Client(self.address)

    def processes(self) -> list[int]:
        """Template and workers: whoever carries the mark, without the daemon."""
        return [pid for pid in marked_processes(self.instance) if pid != self.process.pid]

    def stop(self) -> None:
        """Stop whatever is left of it."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)

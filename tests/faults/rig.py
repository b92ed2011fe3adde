"""The daemon under test: its directories, its process, and who else belongs to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import SIGCONT, SIGKILL, Signals
from typing import Any, Final

import psutil
from tests.support import ROOT, environment, marked_processes

from warmfork import Client, WarmforkError
from warmfork.trees import wipe_tree

IDLE_WORKERS: Final = 3
RUNNING_MAX: Final = 3
HANG_S: Final = 2.0
QUEUE_WAIT_S: Final = 12.0
_START_S: Final = 40.0
_RESTART_S: Final = 0.5
_DISK: Final = "size=48m,nr_inodes=600,mode=0755"
_SETTINGS: Final = f"""\
[pool]
idle_workers = {IDLE_WORKERS}
running_max = {RUNNING_MAX}
[queue]
wait_s_max = {QUEUE_WAIT_S}
[clients]
grace_s = 0.5
[limits]
threads_max = {{threads_max}}
disk_bytes = "32M"
[policy]
allowed = ["strict", "off"]
[lifecycle]
hang_s = {HANG_S}
drain_s = 2
[template]
rehearse = false
[results]
recent_bytes = "4M"
[log]
format = "json"
[guard]
off = {{off}}
"""


class Broken(Exception):
    """The run cannot go on: what must hold for it does not."""


def wait_for(condition: Callable[[], object], what: str, deadline_s: float) -> None:
    """Return as soon as ``condition()`` is true; raise Broken with ``what`` when the deadline passes first."""
    pause, due_s = threading.Event(), time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > due_s:
            raise Broken(f"not within {deadline_s:g} s: {what}")
        pause.wait(0.01)


class Rig:
    """One daemon with a directory of its own.

    Args:
        on_disk: its slots lie on a small file system below the runtime directory, not in namespaces.
        module: what Python is given to run; ``warmfork`` but where a break is tried.

    Attributes:
        address, instance: of the daemon.
        process: the daemon's, of the latest start.
        starts: how many there were.
        failed_starts_s: when one of them failed and was tried again, by the monotonic clock.
    """

    def __init__(self, on_disk: bool, module: Sequence[str] = ("warmfork",)) -> None:
        self.on_disk = on_disk
        self._module = module
        self.home = Path(tempfile.mkdtemp(prefix="wf-faults-", dir="/tmp"))
        self.home.chmod(0o755)  # workers are somebody else
        self.directory = self.home / "run"
        self.temp = self.home / "tmp"
        self.controls = self.home / "controls"
        self._config = self.home / "warmfork.toml"
        self.log = self.home / "log"
        for made in (self.directory, self.temp, self.controls):
            made.mkdir(mode=0o755)
        shutil.copy(Path(__file__).parent / "injected" / "sitecustomize.py", self.controls)
        self.instance = f"faults-{uuid.uuid4().hex}"
        self.process: subprocess.Popen[bytes]
        self.starts = 0
        self.failed_starts_s: list[float] = []
        self._mounted = (
            on_disk
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", _DISK, "none", str(self.directory)],
                check=False,
                stderr=subprocess.DEVNULL,
            ).returncode
        )
        self.configure()

    @property
    def address(self) -> str:
        return f"ipc://{self.directory}/warmfork.sock"

    @property
    def has_small_disk(self) -> bool:
        """Whether the file system below the runtime directory is its own; mounting takes root."""
        return self._mounted

    def configure(self, threads_max: int | str = 64) -> None:
        """Write the configuration; another ``threads_max`` takes another generation of the template."""
        off = '["namespaces", "uid"]' if self.on_disk else "[]"
        self._config.write_text(_SETTINGS.format(threads_max=threads_max, off=off))

    def start(self, attempts: int = 1) -> None:
        """Start the daemon and wait until it answers; again, as a service manager would, where it cannot start yet."""
        for left in reversed(range(attempts)):
            self._start_once()
            if self.process.poll() is None:
                return
            if not left:
                raise Broken(f"the daemon ended with {self.process.returncode} when it was started")
            self.failed_starts_s.append(time.monotonic())
            threading.Event().wait(_RESTART_S)

    def _start_once(self) -> None:
        paths = os.pathsep.join([str(self.controls), os.environ.get("PYTHONPATH", "")])
        env = environment(WARMFORK_INSTANCE=self.instance) | {"TMPDIR": str(self.temp)}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [env["PYTHONPATH"], *paths.split(os.pathsep)]))
        arguments = ("--config", str(self._config), "--runtime-dir", str(self.directory))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._module, "serve", *arguments],
                env=env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.starts += 1
        wait_for(lambda: self.answers() or self.process.poll() is not None, "the daemon answers", _START_S)

    def answers(self) -> bool:
        """True when a client gets its status."""
        return self.status(0.5) is not None

    def status(self, timeout_s: float = 5.0) -> dict[str, Any] | None:
        """How the daemon is; None when it does not answer."""
        if not (self.directory / "warmfork.sock").exists() or not (self.directory / "key").exists():
            return None
        with Client(self.address, connect_timeout_s=timeout_s) as client:
            try:
                return dict(client.status())
            except WarmforkError:
                return None

    def processes(self) -> list[int]:
        """Templates and workers: whoever carries the mark, without the daemon."""
        return [pid for pid in marked_processes(self.instance) if pid != self.process.pid]

    def template_pid(self, variant: str, choice: float = 0.0) -> int | None:
        """Of a template that serves: the process that forks, or with ``outer`` the one that the daemon started.

        ``choice``, from 0 to 1, picks among the templates; 0 is the default one.
        """
        status = self.status(2.0)
        rows = [] if status is None else status["templates"]
        pid: int | None = rows[min(int(choice * len(rows)), len(rows) - 1)]["pid"] if rows else None
        if pid is None or variant == "inner":
            return pid
        with contextlib.suppress(psutil.Error):
            parent = int(psutil.Process(pid).ppid())
            return parent if parent != self.process.pid and parent in self.processes() else pid
        return None

    def children_of_template(self, inner: int | None = None) -> set[int]:
        """Pids of all workers there are, whatever their state; quicker where the template's pid is known."""
        inner = inner or self.template_pid("inner")
        with contextlib.suppress(OSError):
            return set(map(int, Path(f"/proc/{inner}/task/{inner}/children").read_text().split()))
        return set()

    def signal(self, pid: int, number: Signals) -> bool:
        """Send a signal, if that is still a process of ours."""
        if pid != self.process.pid and pid not in self.processes():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def signal_all(self, number: Signals) -> None:
        """To the daemon and everything that belongs to it, the daemon first."""
        for pid in [self.process.pid, *self.processes()]:
            self.signal(pid, number)

    def close(self) -> None:
        """End whatever is left, and remove the directory."""
        if hasattr(self, "process"):
            self.signal_all(SIGCONT)
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(10)
            for pid in self.processes():
                self.signal(pid, SIGKILL)
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.directory)], check=False)
        wipe_tree(str(self.home))

"""Looks at the daemon: its memory, descriptors, processes, slots, temporary files, queue."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import psutil

from warmfork.embedding import EmbeddedDaemon
from warmfork.trees import wipe_tree


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        at_s: by the monotonic clock.
        rss_bytes, uss_bytes, pss_bytes: the daemon's memory: resident, its own alone, and its share of what is shared.
        descriptors: open in the daemon.
        processes: below the daemon: templates and workers, and whoever else is there.
        template_bytes: resident memory of the template of charts.
        queued, running: jobs.
        slots: directories of jobs on disk.
        temp_files: entries in the daemon's temporary directory besides its own runtime directory.
        cpu_s: CPU seconds of the daemon so far.
    """

    at_s: float
    rss_bytes: int
    uss_bytes: int
    pss_bytes: int
    descriptors: int
    processes: int
    template_bytes: int
    queued: int
    running: int
    slots: int
    temp_files: int
    cpu_s: float


class Watched:
    """A daemon with a temporary directory of its own, so that what it leaves there is seen.

    Args:
        settings: of the daemon.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.temp = Path(tempfile.mkdtemp(prefix="soak-"))
        # Jobs may run as another user, and must be able to come to their directories below.
        self.temp.chmod(0o755)
        self.daemon = EmbeddedDaemon(policy="standard", settings=settings)

    def start(self, environ: Mapping[str, str] = MappingProxyType({})) -> None:
        """Start the daemon, with more in its environment. Raises EmbeddedStartFailed."""
        places = {"TMPDIR": str(self.temp), "XDG_RUNTIME_DIR": str(self.temp)}
        # The daemon takes this process's environment; nothing else runs here yet.
        with mock.patch.dict(os.environ, {**places, **environ}), contextlib.ExitStack() as unless_started:
            unless_started.callback(wipe_tree, str(self.temp))
            self.daemon.start()
            unless_started.pop_all()
        assert self.daemon.pid is not None
        self._process = psutil.Process(self.daemon.pid)
        self._own = Path(self.daemon.address.removeprefix("ipc://")).parent

    def look(self, status: Mapping[str, Any]) -> Sample:
        """One look. Raises psutil.NoSuchProcess when the daemon is gone."""
        memory = self._memory()
        times = self._process.cpu_times()
        return Sample(
            at_s=time.monotonic(),
            rss_bytes=memory[0],
            uss_bytes=memory[1],
            pss_bytes=memory[2],
            descriptors=status["process"]["open_files"],
            processes=len(self._process.children(recursive=True)),
            template_bytes=_rss_bytes(status["template"]["pid"]),
            queued=status["queue"]["jobs"],
            running=len(status["running"]),
            slots=sum(_count(path) for path in self._own.glob("slots*")),
            temp_files=len({path.name for path in self.temp.iterdir()} - {self._own.name}),
            cpu_s=times.user + times.system,
        )

    def _memory(self) -> tuple[int, int, int]:
        """Resident, own, share. The daemon refuses dumps: to all but root the kernel tells the first alone."""
        try:
            memory = self._process.memory_full_info()
        except psutil.AccessDenied:
            resident = self._process.memory_info().rss
            return resident, resident, resident
        return memory.rss, memory.uss, memory.pss

    def why_not_quiet(self, status: Mapping[str, Any]) -> str:
        """Empty when no job waits or runs, all wanted workers are idle and nobody else is there; else what is not so."""
        workers, templates = status["workers"], status["templates"]
        if unsettled := [row["name"] for row in templates if not row["settled"]]:
            return f"templates {unsettled} still rehearse"
        if status["queue"]["jobs"] or status["running"]:
            return f"{status['queue']['jobs']} jobs wait and {len(status['running'])} run"
        if workers["by_state"] != {"idle": workers["wanted_idle"]}:
            return f"workers are {workers['by_state']}, wanted are {workers['wanted_idle']} idle ones"
        family = {process.pid for process in self._process.children(recursive=True)}
        known = {row["pid"] for row in [*workers["list"], *templates]}
        # A template in namespaces of its own has a parent outside of them, for as long as it lives or not at all.
        known |= {parent for row in templates if (parent := _parent(row["pid"])) in family}
        return f"processes {sorted(family - known)} are left" if family - known else ""

    def descriptors_by_kind(self) -> dict[str, int]:
        """How many the daemon has open of what; empty where the kernel does not tell."""
        place = Path(f"/proc/{self.daemon.pid}/fd")
        kinds: Counter[str] = Counter()
        with contextlib.suppress(OSError):
            for entry in place.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    kind = os.readlink(entry)
                    kinds[kind if kind.startswith("anon_inode") else kind.partition(":")[0]] += 1
        return dict(kinds)

    def stop(self) -> list[str]:
        """End the daemon; returns what it left behind, which should be nothing."""
        try:
            family = self._process.children(recursive=True)
        except psutil.NoSuchProcess:
            family = []  # it has died, and who was below it is nobody's now
        self.daemon.stop()
        _, alive = psutil.wait_procs(family, timeout=5.0)
        left = [f"process {process.pid}" for process in alive] + [str(path) for path in self.temp.iterdir()]
        with contextlib.suppress(OSError):
            self.temp.rmdir()
        return left


def _rss_bytes(pid: int | None) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0  # the template is just being replaced


def _parent(pid: int | None) -> int:
    try:
        return psutil.Process(pid).ppid() if pid else 0
    except psutil.Error:
        return 0


def _count(path: Path) -> int:
    try:
        return sum(entry.name != "template" for entry in path.iterdir())
    except OSError:
        return 0

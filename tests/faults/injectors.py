"""The faults: what each does to the daemon, its processes, its machine or its clients, and takes back after a while.

An injector returns a sentence about what it did, and raises ``NoVictim`` where there was nobody to do it to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from tests.faults import peers
from tests.faults.plan import FaultPlan
from tests.faults.rig import HANG_S, Rig, wait_for
from tests.support import limit_that_leaves

from warmfork_daemon import descriptors

_LOOK_S: Final = 1.5
_GONE_S: Final = 3.0
_LEFT_TO_DAEMON: Final = (descriptors.RESERVED // 2, descriptors.RESERVED)
"""None for a worker, and half at least of what is kept for connections.

With less the limit would be where the daemon itself never gets: ZeroMQ aborts a process that cannot accept, which is why it
refuses workers, and then connections, long before. Nothing but a limit that is lowered from outside leads there.
"""
_STARTS_MAX: Final = 10
_STATES: Final = {"idle": "idle", "busy": "busy"}


class NoVictim(Exception):
    """There was nobody, or nothing, to do it to."""


@dataclass(slots=True)
class Scene:
    """What injectors work on.

    Attributes:
        rig: the daemon.
        clients: processes of clients.
        on_daemon_killed: called between the death of the daemon and its next start.
        daemon_lock: held by what stops or kills the daemon, one at a time.
        limits_lock: held by what lowers a limit, so that what it puts back is what there was.
        hurry: set when everything is to be taken back at once.
        problems: what an injector found to be wrong.
    """

    rig: Rig
    clients: list[subprocess.Popen[bytes]]
    on_daemon_killed: Callable[[], None]
    daemon_lock: threading.Lock = field(default_factory=threading.Lock)
    limits_lock: threading.Lock = field(default_factory=threading.Lock)
    hurry: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)


def inject(scene: Scene, fault: FaultPlan) -> str:
    """Do it, wait as long as it lasts, take it back. Raises NoVictim, Broken."""
    return _INJECTORS[fault.kind](scene, fault)


def _worker(scene: Scene, fault: FaultPlan) -> int:
    """The pid of a worker in the state that the variant names; looks until there is one."""
    rig, due_s, pause = scene.rig, time.monotonic() + _LOOK_S, threading.Event()
    if fault.variant.startswith("entering"):
        inner = rig.template_pid("inner")
        known = rig.children_of_template(inner)
        while known and time.monotonic() < due_s:
            new = rig.children_of_template(inner) - known
            if new:
                return max(new)
        raise NoVictim("no worker was forked")
    while time.monotonic() < due_s:
        status = rig.status(0.5)
        rows = [] if status is None else status["workers"]["list"]
        pids = [row["pid"] for row in rows if row["state"] == _STATES[fault.variant] and row["pid"]]
        if pids:
            return int(pids[int(fault.choice * len(pids))])
        pause.wait(0.005)
    raise NoVictim(f"no worker was {fault.variant}")


def _kill_worker(scene: Scene, fault: FaultPlan) -> str:
    pid = _worker(scene, fault)
    if fault.variant == "busy":  # anywhere in its job, rendering and reporting included
        scene.hurry.wait(random.Random(fault.seed).choice((0.0, 0.005, 0.02, 0.1)))
    return f"killed {pid}" if scene.rig.signal(pid, signal.SIGKILL) else f"{pid} had ended"


def _stop_worker(scene: Scene, fault: FaultPlan) -> str:
    pid = _worker(scene, fault)
    if fault.variant == "entering for good":
        return f"stopped {pid} and left it so" if scene.rig.signal(pid, signal.SIGSTOP) else f"{pid} had ended"
    with _stopped(scene, [pid]):
        scene.hurry.wait(fault.hold_s)
    return f"stopped {pid}"


@contextlib.contextmanager
def _stopped(scene: Scene, pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            scene.rig.signal(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            scene.rig.signal(pid, signal.SIGCONT)


def _template(scene: Scene, fault: FaultPlan) -> int:
    pid = scene.rig.template_pid(fault.variant or "inner", fault.choice)
    if pid is None:
        raise NoVictim("no template was ready")
    return pid


def _kill_template(scene: Scene, fault: FaultPlan) -> str:
    pid = _template(scene, fault)
    return f"killed {pid}" if scene.rig.signal(pid, signal.SIGKILL) else f"{pid} had ended"


def _stop_template(scene: Scene, fault: FaultPlan) -> str:
    pid = _template(scene, fault)
    with _stopped(scene, [pid]):
        scene.hurry.wait(fault.hold_s)
    return f"stopped {pid}" + (", longer than the daemon has patience" if fault.hold_s > HANG_S else "")


def _stop_daemon(scene: Scene, fault: FaultPlan) -> str:
    with scene.daemon_lock, _stopped(scene, [scene.rig.process.pid]):
        scene.hurry.wait(fault.hold_s)
    return "stopped"


def _suspend(scene: Scene, fault: FaultPlan) -> str:
    rig = scene.rig
    with scene.daemon_lock:
        rig.signal_all(signal.SIGSTOP)
        try:
            scene.hurry.wait(fault.hold_s)
        finally:
            rig.signal_all(signal.SIGCONT)
    return "everything stood still"


def _kill_daemon(scene: Scene, fault: FaultPlan) -> str:
    rig = scene.rig
    with scene.daemon_lock:
        pid = rig.process.pid
        rig.process.kill()
        rig.process.wait(10)
        # Those that are stopped by another fault cannot see its end.
        for left in rig.processes():
            rig.signal(left, signal.SIGCONT)
        wait_for(lambda: not rig.processes(), "all processes are gone after the daemon's death", _GONE_S)
        scene.on_daemon_killed()
        scene.hurry.wait(fault.hold_s)
        rig.start(_STARTS_MAX)  # other faults may stand in the way of the first
    return f"killed {pid}, started {rig.process.pid}"


@contextlib.contextmanager
def _few_descriptors(pid: int, left: int) -> Iterator[None]:
    try:
        process = psutil.Process(pid)
        before = process.rlimit(resource.RLIMIT_NOFILE)
        process.rlimit(resource.RLIMIT_NOFILE, (limit_that_leaves(pid, left), before[1]))
    except (OSError, psutil.Error) as problem:
        raise NoVictim(str(problem)) from None
    try:
        yield
    finally:
        with contextlib.suppress(psutil.Error):
            process.rlimit(resource.RLIMIT_NOFILE, before)


def _take_descriptors(scene: Scene, fault: FaultPlan) -> str:
    pid = scene.rig.process.pid if fault.kind == "daemon_emfile" else _template(scene, fault)
    draw = random.Random(fault.seed)
    left = draw.randrange(*_LEFT_TO_DAEMON) if fault.kind == "daemon_emfile" else draw.randrange(4)
    with scene.limits_lock, _few_descriptors(pid, left):
        scene.hurry.wait(fault.hold_s)
    with contextlib.suppress(psutil.Error):
        # A template that was started meanwhile has inherited the limit.
        plenty = psutil.Process(scene.rig.process.pid).rlimit(resource.RLIMIT_NOFILE)
        for other in scene.rig.processes():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(other)
                hard = process.rlimit(resource.RLIMIT_NOFILE)[1]
                if process.ppid() == scene.rig.process.pid or other == scene.rig.template_pid("inner"):
                    process.rlimit(resource.RLIMIT_NOFILE, (min(plenty[0], hard), hard))
    return f"{left} descriptors left for {pid}"


def _fail_forks(scene: Scene, fault: FaultPlan) -> str:
    control = scene.rig.controls / "fork"
    control.write_text(str(getattr(errno, fault.variant)))
    try:
        scene.hurry.wait(fault.hold_s)
    finally:
        control.write_text("0")
    return f"fork failed with {fault.variant}"


def _jump_clock(scene: Scene, fault: FaultPlan) -> str:
    by_s = random.Random(fault.seed).choice((-86_400.0, -3_600.0, -5.0, 5.0, 3_600.0, 86_400.0, 1e9))
    (scene.rig.controls / "clock").write_text(str(by_s))
    return f"the wall clock is off by {by_s:g} s from now on"


def _fill_disk(scene: Scene, fault: FaultPlan) -> str:
    if not scene.rig.has_small_disk:
        raise NoVictim("no file system of its own: mounting takes root")
    filler = scene.rig.directory / f"filler-{fault.seed}"
    filler.mkdir()
    try:
        with contextlib.suppress(OSError):
            if fault.variant == "inodes":
                for number in range(100_000):
                    (filler / str(number)).touch()
            else:
                _fill(filler / "big")
        scene.hurry.wait(fault.hold_s)
    finally:
        for path in filler.iterdir():
            path.unlink()
        filler.rmdir()
    return f"no {fault.variant} were left"


def _fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as target:
        while True:
            target.write(bytes(1 << 16))


def _reload(scene: Scene, fault: FaultPlan) -> str:
    rig = scene.rig
    value: dict[str, int | str] = {"same": 64, "changed": 32 + fault.seed % 31, "wrong": '"many"'}
    rig.configure(value[fault.variant])
    with scene.daemon_lock:  # whose handler is not there yet while it starts
        rig.signal(rig.process.pid, signal.SIGHUP)
        scene.hurry.wait(0.1)
        if fault.variant == "wrong":
            rig.configure()  # so that a start that follows can succeed
    return f"a {fault.variant} configuration"


def _garbage(scene: Scene, fault: FaultPlan) -> str:
    path = str(scene.rig.directory / "warmfork.sock")
    peers.send_garbage(path, fault.variant, random.Random(fault.seed))
    return f"garbage: {fault.variant}"


def _half_open(scene: Scene, fault: FaultPlan) -> str:
    path = str(scene.rig.directory / "warmfork.sock")
    peers.be_half_open(path, random.Random(fault.seed), scene.hurry, fault.hold_s)
    return "connections without a greeting"


def _slow(scene: Scene, fault: FaultPlan) -> str:
    scene.problems += peers.be_slow(scene.rig.address, random.Random(fault.seed), scene.hurry, fault.hold_s)
    return "a client that does not read"


def _client(scene: Scene, fault: FaultPlan) -> subprocess.Popen[bytes]:
    living = [client for client in scene.clients if client.poll() is None]
    if not living:
        raise NoVictim("no client process was left")
    return living[int(fault.choice * len(living))]


def _stop_client(scene: Scene, fault: FaultPlan) -> str:
    client = _client(scene, fault)
    client.send_signal(signal.SIGSTOP)
    try:
        scene.hurry.wait(fault.hold_s)
    finally:
        client.send_signal(signal.SIGCONT)
    return f"stopped client {client.pid}"


def _kill_client(scene: Scene, fault: FaultPlan) -> str:
    client = _client(scene, fault)
    os.kill(client.pid, signal.SIGKILL)
    return f"killed client {client.pid}"


_INJECTORS: Final[dict[str, Callable[[Scene, FaultPlan], str]]] = {
    "worker_kill": _kill_worker,
    "worker_stop": _stop_worker,
    "template_kill": _kill_template,
    "template_stop": _stop_template,
    "daemon_stop": _stop_daemon,
    "daemon_kill": _kill_daemon,
    "suspend": _suspend,
    "daemon_emfile": _take_descriptors,
    "template_emfile": _take_descriptors,
    "fork_fails": _fail_forks,
    "disk_full": _fill_disk,
    "reload": _reload,
    "garbage": _garbage,
    "half_open": _half_open,
    "slow_client": _slow,
    "client_stop": _stop_client,
    "client_kill": _kill_client,
    "clock_jump": _jump_clock,
}

"""The two daemons that every attempt meets: one as it is shipped, with small limits, and one without guards."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil
from tests.support import Served, need_namespaces, wait_until

from warmfork_daemon.config.settings import BY_KEY
from warmfork_daemon.templates import LIGHT_NAME

MIB: Final = 1 << 20
DISK_BYTES: Final = 24 * MIB
THREADS: Final = 24
OPEN_FILES: Final = 64
STDOUT_BYTES: Final = 64 << 10

_BOTH: Final[Mapping[str, Any]] = {
    "policy.allowed": "strict,standard,off",
    "pool.idle_workers": 3,
    "pool.running_max": 3,
    "limits.timeout_s": 20,
    "template.rehearse": False,
}
_GUARDED: Final[Mapping[str, Any]] = {
    "limits.disk_bytes": DISK_BYTES,
    "limits.file_bytes_max": DISK_BYTES,
    "limits.threads_max": THREADS,
    "limits.open_files_max": OPEN_FILES,
    "limits.stdout_bytes": STDOUT_BYTES,
    "limits.files_max": 256,  # the slot has room for as many again
    "limits.input_bytes_max": 8 * MIB,  # the slot has room for the inputs besides
}
# What a bomb does when nothing bounds it is shown by lifting the bounds, not by taking the machine.
_UNGUARDED: Final[Mapping[str, Any]] = {
    "guard.unguarded": True,
    "limits.disk_bytes": 4 << 30,
    "limits.file_bytes_max": 1 << 40,
    "limits.threads_max": 4096,
    "limits.open_files_max": 4096,
    "limits.stdout_bytes": 16 * MIB,
}


def start(directory: Path, settings: Mapping[str, Any], module: tuple[str, ...] = ("warmfork",)) -> Served:
    """Start ``warmfork serve`` in a directory with these settings (dotted keys) and wait until it answers."""
    flags: list[str] = []
    for key, value in settings.items():
        flags += (
            [BY_KEY[key].flag]
            if value is True
            else [_no(BY_KEY[key].flag)]
            if value is False
            else [BY_KEY[key].flag, str(value)]
        )
    served = Served(directory, f"escape-{uuid.uuid4().hex}", tuple(flags), module)
    served.start()
    return served


def _no(flag: str) -> str:
    return "--no-" + flag.removeprefix("--")


def start_guarded(directory: Path, **more: Any) -> Served:
    """The shipped guard, with limits that a bomb reaches in a moment."""
    return start(directory, {**_BOTH, **_GUARDED, **more})


def start_unprivileged(directory: Path) -> Served:
    """The shipped guard around the jobs of a daemon that is uid 65534 and has no capability."""
    return start(directory / "run", {**_BOTH, **_GUARDED}, ("tests.as_nobody", str(directory)))


def start_light(directory: Path) -> Served:
    """The shipped guard, and every job in a light worker."""
    served = start(directory, {**_BOTH, **_GUARDED}, ("tests.as_light",))
    with served.client() as client:
        try:
            need_namespaces(client)
        except BaseException:
            served.stop()
            raise
        wait_until(lambda: client.status()["guard"]["templates"].get(LIGHT_NAME, {}).get("proved"), "it is proved")
    return served


def start_unguarded(directory: Path) -> Served:
    """No kernel layer, generous limits: where the control runs are made."""
    return start(directory, {**_BOTH, **_UNGUARDED})


def template_of(served: Served) -> int:
    """Pid of the daemon's template on the host."""
    return min(int(child.pid) for child in psutil.Process(served.process.pid).children())


def worker_uid(served: Served) -> int:
    """The uid, on the host, of the workers."""
    family = psutil.Process(served.process.pid)
    wait_until(lambda: len(family.children(recursive=True)) >= 3, "workers are there")
    return int(max(family.children(recursive=True), key=lambda process: process.pid).uids().real)


def shared_object() -> str:
    """A small extension module of the standard library that jobs may read."""
    import importlib.util

    for name in ("_heapq", "_bisect", "_struct", "_json", "_csv", "zlib"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin and spec.origin.endswith(".so"):
            return os.path.realpath(spec.origin)
    raise RuntimeError(f"{sys.executable} has no extension module in a file of its own")

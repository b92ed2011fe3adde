"""The machine that was measured on, and how busy it was: without this no number can be read."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bench.suite.systems import ROOT

_PACKAGES: Final = (
    "numpy", "pandas", "matplotlib", "seaborn", "pyzmq", "msgpack", "psutil", "jupyter_client", "ipykernel",
)  # fmt: skip
BUSY_SHARE: Final = 0.25
"""A load average above this share of the CPUs before the run means that others were at work."""


def collect() -> dict[str, Any]:
    """What does not change during a run, and the load average before it."""
    cpuinfo = _read("/proc/cpuinfo")
    return {
        "cpu_model": _value(cpuinfo, "model name") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "virtual": " hypervisor" in _value(cpuinfo, "flags"),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release(),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled").strip(),
        "python": sys.version.split()[0],
        "libc": " ".join(platform.libc_ver()),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "commit": _commit(),
        "load_before": list(os.getloadavg()),
    }


def is_noisy(facts: dict[str, Any]) -> bool:
    """Whether others were at work on the machine when the run began."""
    return bool(facts["load_before"][0] > BUSY_SHARE * facts["cpus"])


def idle_share(before: tuple[int, int]) -> float:
    """Share of the machine's CPU time that was idle since ``before``, a value of ``cpu_times``."""
    total, idle = (now - then for now, then in zip(cpu_times(), before, strict=True))
    return idle / total if total else 1.0


def cpu_times() -> tuple[int, int]:
    """Ticks of all CPUs so far: in all, and idle ones."""
    ticks = [int(word) for word in _read("/proc/stat").splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def _commit() -> str:
    """The commit that is checked out, with a + where files differ from it; empty outside a repository."""
    git = ["git", "--no-optional-locks", "-C", str(ROOT)]  # nobody's commit waits for a measurement
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _value(text: str, key: str) -> str:
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""

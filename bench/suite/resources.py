"""CPU time and memory of process trees, as Linux tells them in /proc.

CPU of a tree is what its living processes have used (``utime + stime``) and what each has inherited from children that it
waited for (``cutime + cstime``). That sum only grows, and misses nothing as long as every process is reaped within the
tree, which holds for all that is measured here; it is read when the system is at rest, because a process that ends between two
reads would be counted twice or not at all. The kernel keeps run time exactly and shows it in ticks of 10 ms for each process:
with hundreds of jobs in an interval that is below a percent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_AFTER_NAME_PPID: Final = 1
_AFTER_NAME_UTIME: Final = 11
_REST_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class Process:
    """A living process.

    Attributes:
        pid, parent: process ids.
        own_s: CPU seconds of its own, user and system.
        reaped_s: CPU seconds of the children it has waited for, and of theirs.
    """

    pid: int
    parent: int
    own_s: float
    reaped_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process in bytes; a part is None where the kernel does not show it to us.

    Attributes:
        private_bytes: pages that no other process has.
        proportional_bytes: each page divided by the number of processes that share it.
        anon_bytes: RssAnon, pages that are no file's.
        resident_bytes: everything, shared pages included.
    """

    private_bytes: int | None
    proportional_bytes: int | None
    anon_bytes: int | None
    resident_bytes: int | None


def parse_stat(text: str) -> Process:
    """One line of ``/proc/PID/stat``. The name in it may hold anything, brackets too: fields count from its last one."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    ticks = [int(word) for word in fields[_AFTER_NAME_UTIME : _AFTER_NAME_UTIME + 4]]
    return Process(
        int(pid), int(fields[_AFTER_NAME_PPID]), sum(ticks[:2]) / _TICKS_PER_S, sum(ticks[2:]) / _TICKS_PER_S
    )


def processes() -> dict[int, Process]:
    """All processes there are, by pid."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                process = parse_stat(Path("/proc", entry, "stat").read_text(errors="replace"))
            except OSError:
                continue  # it ended in between
            found[process.pid] = process
    return found


def tree_of(root: int, table: Mapping[int, Process]) -> list[Process]:
    """``root`` and all below it, as far as they live."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, left = [], [root]
    while left:
        pid = left.pop()
        if pid in table:
            found.append(table[pid])
        left += children.get(pid, [])
    return found


def children_cpu_s() -> float:
    """CPU seconds of everything below this process so far; not its own."""
    tree = tree_of(os.getpid(), processes())
    return sum(process.reaped_s + (process.own_s if process.pid != os.getpid() else 0.0) for process in tree)


def daemon_cpu_s(pid: int) -> tuple[float, float]:
    """CPU seconds so far of a daemon itself, and of its templates and workers."""
    tree = tree_of(pid, processes())
    own_s = sum(process.own_s for process in tree if process.pid == pid)
    return own_s, sum(process.own_s + process.reaped_s for process in tree) - own_s


def rest() -> None:
    """Wait until what the last job left behind (its reaping, its replacement) is over."""
    time.sleep(_REST_S)


def busiest(before: Mapping[int, Process], root: int) -> tuple[int, float] | None:
    """The process below ``root`` that used most CPU since ``before``, and how many seconds; None where none did."""
    spent = {
        process.pid: process.own_s - (before[process.pid].own_s if process.pid in before else 0.0)
        for process in tree_of(root, processes())
        if process.pid != root
    }
    pid = max(spent, key=lambda pid: spent[pid], default=0)
    return (pid, spent[pid]) if pid and spent[pid] > 0 else None


def memory_of(pid: int) -> Memory:
    """Memory of a process now. A worker of warmfork shows its maps to root alone."""
    status = _kib(f"/proc/{pid}/status", ("RssAnon", "VmRSS"))
    rollup = _kib(f"/proc/{pid}/smaps_rollup", ("Pss", "Private_Clean", "Private_Dirty"))
    private = (rollup.get("Private_Clean"), rollup.get("Private_Dirty"))
    return Memory(
        None if private[0] is None or private[1] is None else private[0] + private[1],
        rollup.get("Pss"),
        status.get("RssAnon"),
        status.get("VmRSS"),
    )


def _kib(path: str, names: Iterable[str]) -> dict[str, int]:
    """Bytes by name, of lines such as ``Pss:  123 kB``."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return {}
    split = (line.partition(":") for line in lines)
    return {name: int(value.split()[0]) * 1024 for name, _, value in split if name in names}

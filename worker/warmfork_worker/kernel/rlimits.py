"""Resource limits: the daemon's maxima for every worker, then the job's own, which are lower."""

from __future__ import annotations

import ctypes
import resource
from dataclasses import dataclass
from typing import Final

from warmfork_worker.kernel import proc
from warmfork_worker.kernel.steps import Place, Steps

_CPU_GRACE_S: Final = 2
"""Between SIGXCPU and the SIGKILL for whoever ignores it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Maxima of each worker.

    Attributes:
        file_bytes: size of a file (RLIMIT_FSIZE).
        open_files: descriptors (RLIMIT_NOFILE).
        memory_bytes: address space above what the worker has when it starts (RLIMIT_AS).
        cpu_s: CPU seconds (RLIMIT_CPU).
        threads: of the process, its first one included (RLIMIT_NPROC); only with a user namespace of its own.
    """

    file_bytes: int
    open_files: int
    memory_bytes: int
    cpu_s: int
    threads: int


class _Pair(ctypes.Structure):
    """struct rlimit64 of <linux/resource.h>."""

    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


def add_maxima(steps: Steps, limits: Limits, address_bytes: Place, *, threads: bool) -> None:
    """Have a worker set the maxima.

    Args:
        steps: of the worker.
        limits: the maxima.
        address_bytes: where its address space's is, see ``address_max``.
        threads: whether RLIMIT_NPROC counts this process alone.
    """
    values = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: limits.cpu_s,
    }
    if threads:
        values[resource.RLIMIT_NPROC] = limits.threads
    for kind, value in values.items():
        allowed = _allowed(kind, value)
        _add(steps, kind, _Pair(allowed, allowed))
    address = _Pair()
    for offset in (0, 8):
        steps.store(address, offset, address_bytes)
    _add(steps, resource.RLIMIT_AS, address)


def _add(steps: Steps, kind: int, pair: _Pair) -> None:
    steps.add("prlimit64", 0, kind, pair, None, what=f"setting the limit {kind}")


def address_max(limits: Limits) -> int:
    """What a process that has as much address space as this one may have at most."""
    return _allowed(resource.RLIMIT_AS, proc.address_space_bytes() + limits.memory_bytes)


def _allowed(kind: int, value: int) -> int:
    """``value``, or what is allowed of it where the hard limit is lower already."""
    ceiling = resource.getrlimit(kind)[1]
    return value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)


def set_for_job(address_bytes: int, cpu_s: int) -> None:
    """Set what the request asked for, inside the worker and before a byte of user code runs; 0 leaves one as it is.

    Not from outside by prlimit(2): a daemon that runs as root without CAP_SYS_RESOURCE, as in many containers, may not do
    that to a process of another uid. What is lowered here cannot be raised again, for nobody here has that capability.
    """
    if address_bytes:
        lower(resource.RLIMIT_AS, address_bytes, address_bytes)
    if cpu_s:
        lower(resource.RLIMIT_CPU, cpu_s, cpu_s + _CPU_GRACE_S)


def lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, or what is allowed of it where the hard limit is lower already."""
    ceiling = resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))

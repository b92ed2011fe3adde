"""Resource limits: the daemon's maxima for every worker, then the job's own, which are lower."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from warmfork_worker.kernel import proc

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


def set_maxima(limits: Limits, *, threads: bool) -> None:
    """Set the maxima. Raises OSError.

    Args:
        limits: the maxima.
        threads: whether RLIMIT_NPROC counts this process alone.
    """
    values = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_AS: proc.address_space_bytes() + limits.memory_bytes,
        resource.RLIMIT_CPU: limits.cpu_s,
    }
    if threads:
        values[resource.RLIMIT_NPROC] = limits.threads
    for kind, value in values.items():
        lower(kind, value, value)


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

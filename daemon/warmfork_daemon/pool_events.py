"""What a pool of workers tells, and whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmfork_daemon.worker import Worker

if TYPE_CHECKING:  # only named here: the pool itself knows this module
    from warmfork_daemon.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class PoolEvents:
    """Whom the pool tells what.

    Attributes:
        ready: a pool's template has become ready.
        idle: a worker has become idle.
        channel: a busy worker's channel can be read.
        died: a busy worker's process has ended; it is not reaped yet.
        exited: a busy worker was reaped; its ``status`` is set.
        lost: a busy worker's template died.
        failed: a pool's template ended before it was ready; it is started again after a pause.
        drained: a draining pool has no worker any more.
        entered: a worker has just been measured; it is not idle yet.
        gone: a worker is gone, its descriptors closed.
    """

    ready: Callable[[WorkerPool], None]
    idle: Callable[[], None]
    channel: Callable[[Worker], None]
    died: Callable[[Worker], None]
    exited: Callable[[Worker], None]
    lost: Callable[[Worker], None]
    failed: Callable[[WorkerPool], None]
    drained: Callable[[WorkerPool], None]
    entered: Callable[[Worker], None]
    gone: Callable[[Worker], None]

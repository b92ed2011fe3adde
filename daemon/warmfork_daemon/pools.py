"""All templates' pools: one for each, the default first. They share the number of jobs that run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork_daemon.config import Config
from warmfork_daemon.pool import PoolEvents, WorkerPool
from warmfork_daemon.reactor import Reactor
from warmfork_daemon.template_link import template_environment
from warmfork_daemon.templates import template_specs

SCRATCH_NAME: Final = "template"
_PACKAGES_NAME: Final = "packages"


class Pools:
    """The pools by template name.

    Args:
        reactor: the event loop.
        config: with the pool's numbers resolved.
        slots_dir_of: makes the directory of slots of the template of this name.
        environ: the daemon's environment; templates get a whitelist of it.
        instance: value of ``$WARMFORK_INSTANCE`` in our processes.
        events: whom each pool tells.
    """

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        slots_dir_of: Callable[[str], Path],
        environ: Mapping[str, str],
        instance: str,
        events: PoolEvents,
    ) -> None:
        self._pools: dict[str, WorkerPool] = {}
        for spec in template_specs(config):
            directory = slots_dir_of(spec.name)
            scratch_dir = directory / SCRATCH_NAME
            environment = template_environment(
                environ,
                scratch_dir=str(scratch_dir),
                instance=instance,
                packages_dir=str(scratch_dir / _PACKAGES_NAME) if spec.is_foreign else "",
            )
            self._pools[spec.name] = WorkerPool(reactor, config, spec, directory, environment, events)

    def __getitem__(self, name: str) -> WorkerPool:
        return self._pools[name]

    def __iter__(self) -> Iterator[WorkerPool]:
        return iter(self._pools.values())

    @property
    def default(self) -> WorkerPool:
        """The one that must be ready before the daemon serves."""
        return self._pools[TEMPLATE_DEFAULT]

    def start_further(self) -> None:
        """Start every template that has not been started yet."""
        for pool in self:
            if not pool.keeper.starts:
                pool.start()

    def close(self) -> None:
        """Close every pool."""
        for pool in self:
            pool.close()

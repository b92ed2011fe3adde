"""All templates' pools: for each name one that serves, and beside it the generations that come and that go.

They share the number of jobs that run at the same time. A new generation comes up beside the old one and takes its place
only when its guard is proved, so nothing waits for it and nothing is dropped.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork_daemon.backoff import Backoff
from warmfork_daemon.config import Config
from warmfork_daemon.lifecycle import GenerationEvent, GenerationState
from warmfork_daemon.light import light_spec, loads_late
from warmfork_daemon.logs import told
from warmfork_daemon.pool import WorkerPool
from warmfork_daemon.pool_events import PoolEvents
from warmfork_daemon.reactor import Reactor, monotonic_s
from warmfork_daemon.template_link import template_environment
from warmfork_daemon.templates import LIGHT_NAME, TemplateSpec, start_order, template_specs
from warmfork_daemon.worker import Worker

log = logging.getLogger("warmfork.pools")

SCRATCH_NAME: Final = "template"
_PACKAGES_NAME: Final = "packages"
_LOOK_S: Final = 0.5
_LATE_S: Final = 0.05  # a turn of the loop takes milliseconds
_HOPELESS_S: Final = 60.0
_DOUBLINGS_MAX: Final = 4
_RENEW_AGAIN_S: Final = 2.5
_RENEW_AGAIN_S_MAX: Final = 600.0
_LIGHT_AFTER_S: Final = 1.0  # a daemon that lives for a job or two need not pay for it


@dataclass(frozen=True, slots=True)
class _Failed:
    """Attempts in a row to renew a template that came to nothing: why the last did, and when the next may follow."""

    reason: str
    backoff: Backoff
    again_s: float


class Pools:
    """The pools by template name.

    Args:
        reactor: the event loop.
        config: with the pool's numbers resolved.
        slots_dir_of: makes the directory of slots of this generation of the template of this name.
        environ: the daemon's environment; templates get a whitelist of it.
        instance: value of ``$WARMFORK_INSTANCE`` in our processes.
        events: whom each pool tells.
    """

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        slots_dir_of: Callable[[str, int], Path],
        environ: Mapping[str, str],
        instance: str,
        events: PoolEvents,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._slots_dir_of = slots_dir_of
        self._environ = environ
        self._instance = instance
        self._events = events
        self._generations: dict[str, int] = {}
        self._coming: dict[str, WorkerPool] = {}
        self._going: list[WorkerPool] = []
        self._failed: dict[str, _Failed] = {}
        self._killed_unsettled: Counter[str] = Counter()
        self._gone_forks: Counter[str] = Counter()
        self._gone_starts: Counter[str] = Counter()
        self._looked_s = monotonic_s()
        self._serving: dict[str, WorkerPool] = {}
        self._serving = {spec.name: self._make(spec) for spec in self._specs(config)}

    def _specs(self, config: Config) -> list[TemplateSpec]:
        """What is to be there: every template, and the companion of the default one where that is of use."""
        specs = list(template_specs(config))
        default = self._serving.get(TEMPLATE_DEFAULT)
        known = default.keeper.layers if default is not None else ()
        if config.pool.light == "auto" and loads_late(known):
            specs.append(light_spec(specs[0], config.pool.light_workers))
        return specs

    @property
    def light_serves(self) -> bool:
        """Whether the companion of the default template can be given jobs."""
        pool = self._serving.get(LIGHT_NAME)
        return pool is not None and pool.state is GenerationState.SERVING and loads_late(pool.keeper.layers)

    def _make(self, spec: TemplateSpec) -> WorkerPool:
        generation = self._generations.get(spec.name, 0) + 1
        self._generations[spec.name] = generation
        directory = self._slots_dir_of(spec.name, generation)
        scratch_dir = directory / SCRATCH_NAME
        environment = template_environment(
            self._environ,
            scratch_dir=str(scratch_dir),
            instance=self._instance,
            packages_dir=str(scratch_dir / _PACKAGES_NAME) if spec.is_foreign else "",
        )
        pool = WorkerPool(self._reactor, self._config, spec, directory, environment, self._events, generation)
        pool.orders = self._orders(spec, self._config)
        return pool

    def __getitem__(self, name: str) -> WorkerPool:
        return self._serving[name]

    def __contains__(self, name: str) -> bool:
        return name in self._serving

    def __iter__(self) -> Iterator[WorkerPool]:
        """Those that serve, one for each name, the default first."""
        return iter(self._serving.values())

    @property
    def every(self) -> list[WorkerPool]:
        """Those that come and go as well."""
        return [*self._serving.values(), *self._coming.values(), *self._going]

    @property
    def default(self) -> WorkerPool:
        """The one that must be ready before the daemon serves."""
        return self._serving[TEMPLATE_DEFAULT]

    def answer(self) -> bool:
        """False when a template that serves has hung for so long that bringing up another must be failing too."""
        return all(pool.roster.owing_s() < _HOPELESS_S for pool in self if not pool.spec.is_light)

    def can_wait(self, pool: WorkerPool) -> bool:
        """Whether this is a new generation beside one that serves well: it may settle first, so that no job draws slower."""
        name = pool.spec.name
        return self._coming.get(name) is pool and self._serves_well(self._serving[name])

    def _serves_well(self, pool: WorkerPool) -> bool:
        return pool.state is GenerationState.SERVING and pool.roster.owing_s() < self._config.lifecycle.hang_s

    def of(self, worker: Worker) -> WorkerPool:
        """The pool that this worker belongs to. Raises KeyError when it is of none any more."""
        for pool in self._serving.values():
            if pool.roster.holds(worker):
                return pool
        for pool in self.every:
            if pool.roster.holds(worker):
                return pool
        raise KeyError(worker.worker_id)

    def start_further(self) -> None:
        """Start every template that has not been started yet, and look after all of them from now on."""
        if LIGHT_NAME in self and not loads_late(self.default.keeper.layers):
            self._serving.pop(LIGHT_NAME).close()
        for pool in self:
            if not pool.keeper.starts and not pool.spec.is_light:
                pool.start()
        self._reactor.call_later(_LIGHT_AFTER_S, self._start_light)
        self._looked_s = monotonic_s()
        self._reactor.call_every(_LOOK_S, self._look)
        self._reactor.call_every(_LOOK_S, self._look_after_age)  # by itself: what it cannot do must not end the other

    def _start_light(self) -> None:
        pool = self._serving.get(LIGHT_NAME)
        if pool is not None and not pool.keeper.starts:
            pool.start()

    def _look(self) -> None:
        now_s = monotonic_s()
        late_s = now_s - self._looked_s - _LOOK_S
        if late_s > _LATE_S:
            # We stood still, and the templates, which may have been stopped with us, have not had that time.
            for pool in self.every:
                pool.roster.forgive(late_s)
        self._looked_s = now_s
        for pool in self:
            pool.look_after_demand()
        self._look_after_hanging()
        self._look_after_entering()

    def _look_after_hanging(self) -> None:
        """Put another in the place of a template that does not answer; its running jobs need it no more and finish first."""
        for pool in self.every:
            if pool.roster.owing_s() < self._hang_s(pool) or pool.keeper.pid is None:
                continue
            name = pool.spec.name
            if self._serving.get(name) is pool and pool.roster.busy_count:
                if self._may_renew(name):
                    log.error(
                        "template hangs, another comes",
                        extra=told(template=name, owing_s=round(pool.roster.owing_s(), 1)),
                    )
                    self.renew(pool.spec)
            elif not pool.roster.busy_count:
                log.error("template hangs and is killed", extra=told(template=name, generation=pool.generation))
                self._killed_unsettled[name] += not pool.settled
                pool.keeper.kill()

    def _hang_s(self, pool: WorkerPool) -> float:
        """How long the template may owe a fork.

        Longer each time that one was killed before it had settled: on a machine where a rehearsed picture takes that long
        none would ever get there.
        """
        if pool.settled:
            del self._killed_unsettled[pool.spec.name]
        elif pool.settling:
            return _HOPELESS_S
        return self._config.lifecycle.hang_s * 2.0 ** min(self._killed_unsettled[pool.spec.name], _DOUBLINGS_MAX)

    def _look_after_entering(self) -> None:
        """Kill a worker that does not become idle: for as long as it lives it stands in the place of one that would."""
        for pool in self.every:
            for worker in pool.roster.late_to_enter(self._config.lifecycle.hang_s):
                log.error("worker hangs and is killed", extra=told(template=pool.spec.name, worker=worker.pid))
                pool.give_up_entering(worker)

    def _look_after_age(self) -> None:
        bounds = self._config.lifecycle
        for pool in list(self):
            name, age_s = pool.spec.name, monotonic_s() - pool.started_s
            worn = bounds.forks_max and pool.forks >= bounds.forks_max
            old = bounds.age_s_max and age_s >= bounds.age_s_max
            if (worn or old) and pool.state is GenerationState.SERVING and self._may_renew(name):
                log.info("template renewed", extra=told(template=name, forks=pool.forks, age_s=round(age_s)))
                self.renew(pool.spec)

    def _may_renew(self, name: str) -> bool:
        """Whether another generation may be tried: none is coming, and the last that failed is some time ago."""
        failed = self._failed.get(name)
        return name not in self._coming and (failed is None or monotonic_s() >= failed.again_s)

    def problem_of(self, name: str) -> str:
        """Why the last attempt to put another generation in the place of the one that serves failed; empty without one."""
        failed = self._failed.get(name)
        return "" if failed is None else f"a new generation failed: {failed.reason}"

    def _note_failure(self, name: str, reason: str) -> None:
        failed = self._failed.get(name)
        backoff = Backoff(_RENEW_AGAIN_S, _RENEW_AGAIN_S_MAX) if failed is None else failed.backoff
        self._failed[name] = _Failed(reason, backoff, monotonic_s() + backoff.next_s())

    def renew(self, spec: TemplateSpec) -> None:
        """Bring up a new generation beside the one that serves; one that was coming already is given up."""
        self._give_up_coming(spec.name)
        try:
            pool = self._make(spec)
        except OSError as problem:  # no directory for its slots
            log.error("new generation not started", extra=told(template=spec.name, problem=problem))
            self._note_failure(spec.name, str(problem))
            return
        if spec.name in self._serving:
            self._coming[spec.name] = pool
        else:
            self._serving[spec.name] = pool
        pool.start()

    def serve(self, pool: WorkerPool) -> None:
        """This pool's guard is proved: it serves from now on, and the one before it drains."""
        pool.advance(GenerationEvent.PROVED)
        self._failed.pop(pool.spec.name, None)
        if self._coming.get(pool.spec.name) is not pool:
            return
        del self._coming[pool.spec.name]
        before, self._serving[pool.spec.name] = self._serving[pool.spec.name], pool
        self._drain(before)

    def _drain(self, pool: WorkerPool) -> None:
        self._going.append(pool)
        if pool.state in (GenerationState.READY, GenerationState.SERVING):
            pool.drain()
        else:  # it is not up: there is nothing to wait for
            pool.leave(lambda: self._gone(pool))

    def drained(self, pool: WorkerPool) -> None:
        """A draining pool has no worker any more."""
        if pool in self._going and pool.state is GenerationState.DRAINING:
            pool.leave(lambda: self._gone(pool))

    def _gone(self, pool: WorkerPool) -> None:
        self._going.remove(pool)
        self._gone_forks[pool.spec.name] += pool.forks
        self._gone_starts[pool.spec.name] += pool.keeper.starts

    def forks(self, name: str) -> int:
        """How many workers all generations of this template forked since the daemon started; it never goes back."""
        return self._gone_forks[name] + sum(pool.forks for pool in self.every if pool.spec.name == name)

    def starts(self, name: str) -> int:
        """How many processes all generations of this template started since the daemon started."""
        return self._gone_starts[name] + sum(pool.keeper.starts for pool in self.every if pool.spec.name == name)

    def refuse(self, pool: WorkerPool, reason: str) -> bool:
        """A pool did not come up. True when it was a new generation of one that serves on; it is given up then."""
        if self._coming.get(pool.spec.name) is not pool:
            return False
        log.error(
            "new generation given up, the old one serves on",
            extra=told(template=pool.spec.name, generation=pool.generation, problem=reason),
        )
        self._note_failure(pool.spec.name, reason)
        self._give_up_coming(pool.spec.name)
        return True

    def _give_up_coming(self, name: str) -> None:
        coming = self._coming.pop(name, None)
        if coming is not None:
            self._going.append(coming)  # it may have a probe that runs, which has still to find it
            # It may be the one that is calling us.
            self._reactor.call_later(0.0, lambda: coming.leave(lambda: self._gone(coming)))

    def reconfigure(self, config: Config) -> tuple[list[str], list[str]]:
        """Follow a new configuration: names whose template is renewed or new, and names that are gone.

        A template is renewed when what it or its workers are started with changed; else it serves on as it is.
        """
        self._config = config
        wanted = {spec.name: spec for spec in self._specs(config)}
        removed = [name for name in self._serving if name not in wanted]
        for name in removed:
            self._give_up_coming(name)
            self._drain(self._serving.pop(name))
        renewed = []
        for name, spec in wanted.items():
            orders = self._orders(spec, config)
            self._failed.pop(name, None)  # it was about what was asked for before
            serving, coming = self._serving.get(name), self._coming.get(name)
            if serving is not None and serving.orders == orders:
                self._give_up_coming(name)
                serving.reconfigure(config, spec)
            elif coming is not None and coming.orders == orders:
                coming.reconfigure(config, spec)
            else:
                self.renew(spec)
                renewed.append(name)
        # The companion is nobody's business.
        return [name for name in renewed if name != LIGHT_NAME], [name for name in removed if name != LIGHT_NAME]

    def _orders(self, spec: TemplateSpec, config: Config) -> object:
        return spec.python, start_order(spec, config, Path(), ())

    def close(self) -> None:
        """Close every pool."""
        for pool in self.every:
            pool.close()

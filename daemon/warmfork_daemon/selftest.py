"""No template's jobs are served before one of its workers has tried the forbidden acts and been refused each.

The probe is a job like any other: dispatched to an idle worker, bounded, judged by what it printed. It runs again for
every template process that comes up.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from warmfork.wire import control, limits
from warmfork.wire.replies import ResultReply, StreamText
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.config import ALWAYS_REQUIRED, Config
from warmfork_daemon.frontend import Peer
from warmfork_daemon.guarding import guard_orders
from warmfork_daemon.job import Job, JobKey
from warmfork_daemon.lifecycle import GenerationEvent, GenerationState
from warmfork_daemon.logs import told
from warmfork_daemon.pool import WorkerPool
from warmfork_daemon.pools import Pools
from warmfork_daemon.probes import Answer, probe_code, problems_of, read_answers
from warmfork_daemon.reactor import monotonic_s
from warmfork_daemon.worker import Worker

log = logging.getLogger("warmfork.guard")

_TIMEOUT_S: Final = 20.0
_MEMORY_BYTES: Final = 1024 * limits.KIB * 1024
_NOBODY: Final = Peer(-1, b"", -1, -1)
_ATTEMPTS_MAX: Final = 3


@dataclass(slots=True)
class Proof:
    """How one template stands.

    Attributes:
        layers: of its guard.
        answers: of the probes; empty before they ran and in the unguarded mode.
        problems: why its jobs must not run; empty when they may.
        proved: the probes have been judged.
        attempts: of the probe job, for this process of the template.
    """

    layers: Sequence[control.Layer]
    answers: list[Answer]
    problems: list[str]
    proved: bool = False
    attempts: int = 0


class SelfTest:
    """Proves each template's guard.

    Args:
        config: what is required.
        pools: where workers come from.
        run: sends a job to a worker; False when the worker turned out dead.
        on_proved: called when a template's jobs may run.
        on_refused: called, with the reasons, when they must not.
    """

    def __init__(
        self,
        config: Config,
        pools: Pools,
        run: Callable[[Worker, Job], bool],
        on_proved: Callable[[WorkerPool], None],
        on_refused: Callable[[WorkerPool, str], None],
    ) -> None:
        self._config = config
        self._pools = pools
        self._run = run
        self._on_proved = on_proved
        self._on_refused = on_refused
        self._running: dict[JobKey, WorkerPool] = {}
        self._proofs: dict[WorkerPool, Proof] = {}

    def begin(self, pool: WorkerPool) -> None:
        """A process of this pool's template has become ready: nothing of it is proved."""
        layers = pool.keeper.layers
        unguarded = self._config.guard.unguarded
        proof = Proof(layers, [], problems_of(layers, (), self._config.guard.required, unguarded=unguarded))
        alive = set(self._pools.every)
        self._proofs = {one: kept for one, kept in self._proofs.items() if one in alive}
        self._proofs[pool] = proof
        if unguarded:
            log.warning(
                "guard.unguarded is set: jobs run WITHOUT the kernel's guard", extra=told(template=pool.spec.name)
            )
            self._conclude(pool, proof)
        elif proof.problems:
            self._conclude(pool, proof)

    def reconfigure(self, config: Config) -> None:
        """Prove by this configuration from now on."""
        self._config = config

    def may_run(self, template: str) -> bool:
        """Whether jobs of this template may be dispatched."""
        return self._pools[template].state is GenerationState.SERVING

    def problem(self, template: str) -> str:
        """Why this template was refused; empty when it was not."""
        proof = self._proofs.get(self._pools[template])
        return "; ".join(proof.problems) if proof is not None and proof.proved else ""

    def feed(self) -> None:
        """Send the probe to an idle worker of every pool that waits for it."""
        for pool, proof in list(self._proofs.items()):
            if proof.proved or pool in self._running.values() or (not pool.settled and self._pools.can_wait(pool)):
                continue
            worker = pool.take_idle()
            if worker is not None:
                job = self._job(pool.spec.name)
                if self._run(worker, job):
                    self._running[job.key] = pool
                    proof.attempts += 1

    def _job(self, template: str) -> Job:
        orders = guard_orders(self._config)
        code = probe_code(orders["disk_bytes_max"], orders["threads_max"]).encode()
        request = ExecuteRequest(secrets.token_bytes(limits.JOB_ID_BYTES), code, formats=())
        now_s = monotonic_s()
        job = Job(request, _NOBODY, "off", _TIMEOUT_S, _MEMORY_BYTES, len(code), now_s, now_s + _TIMEOUT_S)
        job.template = template
        return job

    def takes(self, job: Job, reply: ResultReply) -> bool:
        """Judge the reply if it is a probe's; False when it is somebody's job."""
        pool = self._running.pop(job.key, None)
        if pool is None:
            return False
        proof = self._proofs.get(pool)
        if proof is None or proof.proved or pool.state is not GenerationState.READY:
            return True  # its process went meanwhile; the next one is proved anew
        try:
            if reply.verdict != "ok":
                why = reply.error.message if reply.error is not None else ""
                raise ValueError(f"the probe ended as {reply.verdict}: {why} {_text(reply.stderr)[-500:]}")
            proof.answers = read_answers(_text(reply.stdout), proof.layers)
        except ValueError as problem:
            if proof.attempts < _ATTEMPTS_MAX:
                log.warning("self-test to be tried again", extra=told(template=pool.spec.name, problem=problem))
                return True
            proof.problems = [f"the probes could not be judged: {problem}"]
        else:
            proof.problems = problems_of(proof.layers, proof.answers, self._config.guard.required)
        self._conclude(pool, proof)
        return True

    def _conclude(self, pool: WorkerPool, proof: Proof) -> None:
        proof.proved = True
        name = pool.spec.name
        if proof.problems:
            reason = "; ".join(proof.problems)
            log.error("template not served", extra=told(template=name, problem=reason))
            pool.advance(GenerationEvent.REFUSED)
            self._on_refused(pool, reason)
            return
        for layer in proof.layers:
            if not layer.active and not self._config.guard.unguarded:
                log.warning("guard layer not active", extra=told(template=name, layer=layer.name, detail=layer.detail))
        self._on_proved(pool)

    def status(self) -> dict[str, Any]:
        """For ``status``: the layers, what the probes answered, whether jobs are guarded."""
        serving = list(self._pools)
        required = {*ALWAYS_REQUIRED, *self._config.guard.required}
        return {
            "unguarded": self._config.guard.unguarded,
            "safe": not self._config.guard.unguarded
            and all(
                pool.state is GenerationState.SERVING
                for pool in self._proofs
                if pool in serving and not pool.spec.is_light  # until it is proved, nothing runs there
            ),
            "templates": {
                pool.spec.name: {
                    "proved": proof.proved,
                    "problems": list(proof.problems),
                    "layers": [
                        {"name": x.name, "active": x.active, "required": x.name in required, "detail": x.detail}
                        for x in proof.layers
                    ],
                    "probes": [
                        {"name": x.probe.name, "layer": x.probe.layer, "answer": x.answer, "held": x.held}
                        for x in proof.answers
                    ],
                }
                for pool, proof in self._proofs.items()
                if pool in serving
            },
        }


def _text(stream: StreamText) -> str:
    return bytes(stream.head).decode("utf-8", "replace")

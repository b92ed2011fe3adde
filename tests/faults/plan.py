"""From a seed to what will be done: clients with their jobs, and faults with their times, as plain data.

Everything that is up to chance is drawn here, from one ``random.Random``, before anything is started. What cannot be
drawn is the moment at which the machine gets to it; a fault that waits for its victim says so in its record.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

JobKind = Literal[
    "good", "chart", "error", "spin", "sleep", "bomb", "flood", "files", "exit", "input", "die", "cancelled"
]
ClientKind = Literal["threads", "async", "process", "raw"]

_WEIGHTS: Final[dict[JobKind, int]] = {
    "good": 8, "chart": 3, "error": 4, "spin": 2, "sleep": 2, "bomb": 2, "flood": 2, "files": 3, "exit": 2, "input": 2,
    "die": 1, "cancelled": 3,
}  # fmt: skip
_JOBS_A_SECOND: Final = 8  # of one lane, more than it will get to
_RAW_KINDS: Final[tuple[JobKind, ...]] = ("good", "error", "flood", "exit", "files", "spin")

FAULTS: Final = (
    "worker_kill", "worker_stop", "template_kill", "template_stop", "daemon_stop", "daemon_kill", "suspend",
    "daemon_emfile", "template_emfile", "fork_fails", "disk_full", "reload", "garbage", "half_open", "slow_client",
    "client_stop", "client_kill", "clock_jump",
)  # fmt: skip
VARIANTS: Final[dict[str, tuple[str, ...]]] = {
    "worker_kill": ("idle", "entering", "busy", "busy"),
    "worker_stop": ("idle", "entering", "busy", "entering for good"),
    "template_kill": ("inner", "outer"),
    "template_stop": ("inner", "outer"),
    "fork_fails": ("ENOMEM", "EAGAIN"),
    "disk_full": ("bytes", "inodes"),
    "reload": ("same", "changed", "wrong"),
    "garbage": ("bytes", "frames", "mutated", "lengths", "handshake"),
}
HOLDS_S: Final[dict[str, tuple[float, float]]] = {
    "worker_stop": (0.05, 1.5),
    "template_stop": (0.1, 3.5),
    "daemon_stop": (0.1, 2.0),
    "daemon_kill": (0.0, 0.3),
    "suspend": (0.2, 3.0),
    "daemon_emfile": (0.3, 1.5),
    "template_emfile": (0.3, 1.5),
    "fork_fails": (0.3, 2.0),
    "disk_full": (0.3, 1.5),
    "half_open": (0.5, 2.0),
    "slow_client": (0.5, 2.0),
    "client_stop": (0.2, 1.5),
}


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job.

    Attributes:
        job_id: 32 hexadecimal digits.
        kind: what its code does; see ``programs``.
        stream: its output is asked for while it runs.
        retries: of the client library.
        cancel_after_s: with kind ``cancelled``, seconds from its submission to its cancellation.
    """

    job_id: str
    kind: JobKind
    stream: bool
    retries: int
    cancel_after_s: float


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """One client: the jobs of each of its lanes, which it works off side by side."""

    kind: ClientKind
    lanes: tuple[tuple[JobPlan, ...], ...]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """One fault.

    Attributes:
        kind: one of ``FAULTS``.
        variant: which victim or which way.
        at_s: seconds from the beginning of the load.
        hold_s: how long it lasts; 0 for what happens at a moment.
        choice: 0 to 1, picks among the victims that are there.
        seed: of whatever else the injector draws.
    """

    kind: str
    variant: str
    at_s: float
    hold_s: float
    choice: float
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All of one run.

    Attributes:
        seed: it was drawn from.
        seconds: of load.
        on_disk: slots are directories on a small file system of the host, not mounts inside the template's namespaces.
        clients, faults: what happens, faults in the order of their time.
    """

    seed: int
    seconds: float
    on_disk: bool
    clients: tuple[ClientPlan, ...]
    faults: tuple[FaultPlan, ...]


def draw(seed: int, seconds: float, kinds: Sequence[str] = FAULTS, count: int | None = None) -> Plan:
    """The plan of a seed: the same arguments give the same plan.

    Args:
        seed: any whole number.
        seconds: of load.
        kinds: of faults to draw from; none for load alone.
        count: of faults; without it about one a second, at least one.
    """
    rng = random.Random(seed)
    on_disk = "disk_full" in kinds and (len(kinds) == 1 or rng.random() < 0.4)
    possible = [kind for kind in kinds if kind != "disk_full" or on_disk]
    number = (max(1, round(seconds * rng.uniform(0.6, 1.4))) if count is None else count) if possible else 0
    faults = sorted((_draw_fault(rng, rng.choice(possible), seconds) for _ in range(number)), key=lambda it: it.at_s)
    shapes: list[tuple[ClientKind, int]] = [("threads", 3), ("async", 3), ("process", 2), ("process", 2), ("raw", 1)]
    chance = random.Random(
        f"{seed} clients"
    )  # of its own: a client process draws its plan again, and knows of no faults
    clients = tuple(_draw_client(chance, kind, lanes, seconds) for kind, lanes in shapes)
    return Plan(seed, seconds, on_disk, clients, tuple(faults))


def _draw_fault(rng: random.Random, kind: str, seconds: float) -> FaultPlan:
    variant = rng.choice(VARIANTS.get(kind, ("",)))
    low_s, high_s = HOLDS_S.get(kind, (0.0, 0.0))
    hold_s = rng.uniform(low_s, high_s)
    return FaultPlan(
        kind, variant, round(rng.uniform(0.1, seconds), 3), round(hold_s, 3), rng.random(), rng.getrandbits(32)
    )


def _draw_client(rng: random.Random, kind: ClientKind, lanes: int, seconds: float) -> ClientPlan:
    count = max(1, int(seconds * _JOBS_A_SECOND))
    return ClientPlan(kind, tuple(tuple(_draw_job(rng, kind) for _ in range(count)) for _ in range(lanes)))


def _draw_job(rng: random.Random, client: ClientKind) -> JobPlan:
    kinds = _RAW_KINDS if client == "raw" else tuple(_WEIGHTS)
    kind = rng.choices(kinds, [_WEIGHTS[name] for name in kinds])[0]
    return JobPlan(
        job_id=f"{rng.getrandbits(128):032x}",
        kind=kind,
        stream=client == "raw" or rng.random() < 0.4,
        retries=rng.choice((0, 0, 0, 2)),
        cancel_after_s=rng.choice((0.0, rng.uniform(0.0, 0.05), rng.uniform(0.05, 0.6))),
    )

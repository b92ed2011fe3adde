"""The settings of what waits: how much of it, whose turn comes how often, and for how long without its client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from warmfork.wire import limits as wire
from warmfork_daemon.config.declare import setting as _setting

GoneAct = Literal["cancel", "finish"]

_MIB: Final = wire.MIB
_GIB: Final = wire.GIB


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What may wait; beyond it, jobs are rejected with a time to retry after."""

    jobs_max: int = _setting("integer", 1_000, "Jobs that may wait in the queue.", least=1, most=1_000_000)
    bytes_max: int = _setting(
        "size", 256 * _MIB, "Bytes that all waiting jobs may hold together.", least=_MIB, most=64 * _GIB
    )
    wait_s_max: float = _setting(
        "number",
        600.0,
        "Longest time a job may wait before it is rejected unrun.",
        least=0.1,
        most=wire.TIMEOUT_S_MAX,
        unit="s",
    )
    owner_share: float = _setting(
        "number",
        0.0,
        "Part of the queue that one owner may hold while it is alone; 0 means half, and all where only the daemon's own"
        " user can come in.",
        least=0.0,
        most=1.0,
    )
    memory_available_bytes: int = _setting(
        "size",
        64 * _MIB,
        "Memory that the machine must have available for a job to be taken; 0 means not to look.",
        least=0,
        most=1 << 50,
    )


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """Whose jobs have more turns than others'."""

    weights: tuple[str, ...] = _setting(
        "weight",
        (),
        "Turns of an owner, or of a tenant within its owner, for each turn of one not named here.",
        many=True,
    )


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What becomes of the jobs of a client that is gone."""

    gone: GoneAct = _setting(  # it makes a dataclasses.field  # noqa: RUF009
        "choice",
        "cancel",
        "Drop and cancel the jobs of a client that is gone, or finish them.",
        choices=("cancel", "finish"),
    )
    grace_s: float = _setting(
        "number",
        5.0,
        "Time that a client has to come back and send its jobs again before they are cancelled.",
        least=0.0,
        most=3_600.0,
        unit="s",
    )

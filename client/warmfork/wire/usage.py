"""What a job cost, as plain data and back."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from warmfork.results import PHASES, Phases, Usage
from warmfork.wire.fields import checked_numbers, integer, items, number, read

_BYTES_MAX: Final = 1 << 62
_SECONDS_MAX: Final = 1e9
_PHASES_MAX: Final = 64
"""Later versions may tell more of them; those that this one does not know come after those that it does."""

_USAGE: Final = (
    number("wall_s", 0, _SECONDS_MAX, default=0.0),
    number("cpu_s", 0, _SECONDS_MAX, default=0.0),
    integer("peak_memory_bytes", 0, _BYTES_MAX, default=0),
    number("queue_s", 0, _SECONDS_MAX, default=0.0),
    items("phases", count_max=_PHASES_MAX),
)
_seconds_of: Final = attrgetter(*PHASES)


def encode_usage(usage: Usage) -> dict[str, Any]:
    """A job's usage as plain data."""
    return {
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "peak_memory_bytes": usage.peak_memory_bytes,
        "queue_s": usage.queue_s,
        "phases": list(_seconds_of(usage.phases)),
    }


def decode_usage(where: str, source: Mapping[str, Any]) -> Usage:
    """The inverse of ``encode_usage``, zero for what is not there; or ProtocolError, which names ``where`` it stands."""
    wall_s, cpu_s, peak_memory_bytes, queue_s, phases = read(where, source, _USAGE)
    seconds = checked_numbers(where, "phases", phases, 0, _SECONDS_MAX)[: len(PHASES)]
    return Usage(wall_s, cpu_s, peak_memory_bytes, queue_s, Phases(*seconds))

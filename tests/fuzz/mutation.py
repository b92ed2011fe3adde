"""What the fuzz tests share: their budget, plain values, and hostile changes of valid bytes.

The runs are derandomized: the same examples every time, so that a failure is everybody's. For a longer search of new
ground: ``WARMFORK_FUZZ_EXAMPLES=20000 pytest tests/fuzz``.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_EXAMPLES: Final = int(os.environ.get("WARMFORK_FUZZ_EXAMPLES", "0"))

FUZZ: Final = settings(
    max_examples=_EXAMPLES or 200,
    derandomize=not _EXAMPLES,
    deadline=None,  # a busy machine is no defect; what hangs is seen by the run
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.sampled_from([-1, 0, 1, 65_535, 65_536, 1 << 31, 1 << 53, (1 << 64) - 1, -(1 << 63)])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "a" * 501, "../x", "/x", "a\0b", "\x1b[31m", "\u202e"])
    | st.binary(max_size=20)
    | st.sampled_from([b"", bytes(16), bytes(32)])
)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

# Beginnings of msgpack values that announce far more than follows.
_ANNOUNCING: Final = [
    b"\x81\x80\x01", b"\x81\x91\x80\x01",
    b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xd9\xff", b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\xdd\x00\x00\x20\x00", b"\x9f", b"\x8f", b"\xd6\xff\0\0\0\1", b"\xc1",
]  # fmt: skip
announcing = st.lists(st.sampled_from(_ANNOUNCING) | st.binary(max_size=3), max_size=30).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """One of the valid byte strings after one to four changes: bits, cuts, repeats, foreign pieces, announcements."""
    data = bytearray(draw(st.sampled_from(list(valid))))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        change = draw(st.sampled_from(["flip", "byte", "cut", "truncate", "repeat", "splice", "announce"]))
        if change == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "byte" and start < len(data):
            data[start] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0x90, 0xC0, 0xC1, 0xFF]) | st.integers(0, 255))
        elif change == "cut":
            del data[start:end]
        elif change == "truncate":
            del data[start:]
        elif change == "repeat":
            data[start:start] = data[start:end] * draw(st.sampled_from([1, 2, 50]))
        elif change == "splice":
            other = draw(st.sampled_from(list(valid)))
            place = draw(st.integers(0, len(other)))
            data[start:start] = other[place : place + draw(st.integers(0, 60))]
        elif change == "announce":
            data[start:end] = draw(st.sampled_from(_ANNOUNCING))
    return bytes(data)


def replaced(value: Any, place: int, new: Any) -> Any:
    """``value`` with its ``place``-th inner value, counted modulo and depth first, replaced by ``new``."""
    paths = list(_paths(value))
    path = paths[place % len(paths)]
    if not path:
        return new
    copied = copy.deepcopy(value)
    holder = copied
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = new
    return copied


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield from _paths(item, (*above, step))

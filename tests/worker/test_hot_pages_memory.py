"""Copies of the template's pages count as the job's memory, so a job that has little gets none in advance."""

from __future__ import annotations

import ctypes

import pytest

from warmfork.wire.jobs import JobOrder, decode_order, encode_order
from warmfork_worker import hot_pages
from warmfork_worker.hot_pages import HotPages

MIB = 1 << 20


@pytest.mark.parametrize(
    ("memory_bytes", "copied"),
    [(0, 20 * MIB), (16 * MIB, 0), (80 * MIB - 1, 0), (80 * MIB, 20 * MIB), (1 << 40, 20 * MIB)],
)
def test_little_memory_is_not_used_up(memory_bytes: int, copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are copied in advance only where they are at most a quarter of what the job may use."""
    monkeypatch.setattr(hot_pages, "_populate", lambda vectors: sum(vectors[1::2]))
    pages = HotPages(chart=(ctypes.c_size_t * 4)(4096, 8 * MIB, 64 * MIB, 12 * MIB))
    assert copied == pages.populate_for(b"plt", memory_bytes)
    assert 0 == pages.populate_for(b"print(1)", memory_bytes)


def test_the_order_tells_the_memory() -> None:
    """What a job may use reaches its worker."""
    order = JobOrder(b"plt", None, None, (), (), "off", {}, 0, 0, 0, memory_bytes=16 * MIB)
    frames = encode_order(order)
    assert 16 * MIB == decode_order([bytes(frame) for frame in frames]).memory_bytes

"""What a template's allocators have free is used up: what a forked process allocates lies where nothing else does."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from tests.support import run_alone

from warmfork_worker.fresh import use_up_free_memory

BUILT = importlib.util.find_spec("warmfork_worker._fresh") is not None

PRELUDE = """
import os, resource
from warmfork_worker.fresh import tidy_free_memory, use_up_free_memory

def gaps():
    small = [[number] for number in range(100_000)]
    large = [bytes(600 + number % 900) for number in range(20_000)]
    return small[::50], large[::2]

def faults(act):
    read, write = os.pipe()
    if not os.fork():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        act()
        os.write(write, str(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before).encode())
        os._exit(0)
    os.wait()
    return int(os.read(read, 20))

def work():
    return [[number] for number in range(3_000)], [bytes(600 + number) for number in range(400)]
"""


def run(code: str, **variables: str) -> str:
    """What ``code`` printed in an interpreter of its own; it must end well. Skips where there is nothing that does it."""
    if not BUILT:
        pytest.skip("the native part was not built: no compiler here")
    return run_alone(PRELUDE + code, **variables)


def test_a_forked_process_writes_to_fewer_pages() -> None:
    """Small objects and larger blocks that would have gone into the gaps between what the parent holds do not."""
    out = run("""
kept = gaps()
tidy_free_memory()
before = faults(work)
report = use_up_free_memory(wanted=True)
print(before, faults(work), report.taken_bytes, report.detail == f"{report.taken_bytes >> 10} KiB taken")
""")
    before, after, taken, told = out.split()
    assert int(after) * 4 < int(before) * 3
    assert 1 << 20 < int(taken) < 128 << 20
    assert "True" == told


def test_again_and_again_takes_little() -> None:
    """A second time there is next to nothing free: what is taken is what is asked for to find that out."""
    taken = run("""
kept = gaps()
print(*[use_up_free_memory(wanted=True).taken_bytes for _ in range(3)])
""")
    first, *later = map(int, taken.split())
    assert first > 4 * max(later)


def test_without_python_s_own_allocator() -> None:
    """Where every object is malloc's there is no arena to wait for, and what is taken is bounded all the same."""
    assert int(run("print(use_up_free_memory(wanted=True).taken_bytes)", PYTHONMALLOC="malloc")) < 192 << 20


def test_switched_off() -> None:
    """Where it is not wanted, the reason names the setting."""
    assert "switched off (pool.fresh_memory)" == use_up_free_memory(wanted=False).detail


def test_without_the_native_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install without a compiler says so, and takes nothing."""
    monkeypatch.setitem(sys.modules, "warmfork_worker._fresh", None)
    report = use_up_free_memory(wanted=True)
    assert 0 == report.taken_bytes
    assert report.detail.startswith("its native part was not built when warmfork was installed (")

"""A daemon whose template's heap lies in a memfd, and one whose does not: jobs see no difference, the status does."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import wait_until

from warmfork import Client, embedded

BUILT = importlib.util.find_spec("warmfork_worker._heap") is not None
BOMB = """
import mmap
keep = []
while True:
    block = mmap.mmap(-1, 8 << 20)
    for at in range(0, len(block), 4096):
        block[at] = 1
    keep.append(block)
"""
CHART = "plt.plot([1, 3, 2]); plt.title('heap')"


def template_of(client: Client) -> dict[str, Any]:
    """The status of the science template."""
    return next(one for one in client.status()["templates"] if one["name"] == "science")


@pytest.fixture(scope="module", params=["auto", "off"])
def settled(request: pytest.FixtureRequest) -> Iterator[tuple[str, Client]]:
    """A private daemon whose workers come from a settled template, with the setting it has."""
    if request.param == "auto" and not BUILT:
        pytest.skip("the native part was not built: no compiler here")
    settings = {"pool.heap_memfd": request.param, "policy.allowed": ["strict", "off"]}
    with embedded(workers=2, settings=settings) as client:
        wait_until(lambda: template_of(client)["settled"], "it settles", 60)
        forked = template_of(client)["forks"]
        wait_until(lambda: run_one(client)["forks"] >= forked + 4, "workers from before it settled are gone", 60)
        yield request.param, client


def run_one(client: Client) -> dict[str, Any]:
    """The status of the science template after a job that used up one of its workers."""
    client.execute("import numpy", template="science")
    return template_of(client)


def idle_pids(client: Client) -> list[int]:
    workers = client.status()["workers"]["list"]
    return [one["pid"] for one in workers if (one["state"], one["template"]) == ("idle", "science")]


def memory_of(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_the_status_says_what_became_of_the_heap(settled: tuple[str, Client]) -> None:
    """``heap`` of the template tells the bytes moved, or why none were."""
    how, client = settled
    heap = template_of(client)["heap"]
    if how == "off":
        assert {"moved_bytes": 0, "detail": "switched off (pool.heap_memfd)"} == heap
    else:
        assert heap["moved_bytes"] > 50 << 20
        assert re.fullmatch(r"\d+ MiB in \d+ pieces(, \d+ MiB of it on huge pages)?(; \d+ MiB .*)?", heap["detail"])


def test_an_idle_worker_has_little_memory_of_its_own(settled: tuple[str, Client]) -> None:
    """With the heap in a memfd a worker's anonymous memory is what was written since, not all that was preloaded."""
    how, client = settled
    wait_until(lambda: len(idle_pids(client)) == 2, "all workers are idle")
    own = [memory_of(pid, "RssAnon") for pid in idle_pids(client)]
    assert [how == "auto"] * len(own) == [one < 10 << 20 for one in own]


def test_shared_memory_is_charged_to_the_job_that_makes_it(settled: tuple[str, Client]) -> None:
    """Shared anonymous memory without end is ``memory_limit``; the peak of what stays within it is what it took."""
    _, client = settled
    assert "memory_limit" == client.execute(BOMB, memory_bytes=200 << 20, policy="off", template="science").verdict
    modest = BOMB.replace("while True:", "for _ in range(10):")
    done = client.execute(modest, memory_bytes=200 << 20, policy="off", template="science")
    assert "ok" == done.verdict
    assert 75 << 20 < done.usage.peak_memory_bytes < 120 << 20


def test_reading_the_template_is_not_charged(settled: tuple[str, Client]) -> None:
    """A job that looks at everything that was preloaded stays within a limit far below its size."""
    _, client = settled
    code = "import gc, sys\ntotal = sum(sys.getsizeof(one) for one in gc.get_objects())\nprint(total > 0)"
    done = client.execute(code, memory_bytes=48 << 20, policy="off", template="science")
    assert ("ok", "True\n") == (done.verdict, done.stdout)


def test_a_job_changes_nothing_for_the_next(settled: tuple[str, Client]) -> None:
    """What a job writes into preloaded modules and numbers is gone with it."""
    _, client = settled
    spoil = "import math, numpy\nmath.pi = 3\nnumpy.pi = 3\nnumpy.spoiled = [1] * 100_000\nprint(math.pi, numpy.pi)"
    look = "import math, numpy\nprint(round(math.pi, 2), round(numpy.pi, 2), hasattr(numpy, 'spoiled'))"
    done = [client.execute(code, policy="off", template="science") for code in (spoil, look) * 2]
    assert ["3 3\n", "3.14 3.14 False\n"] * 2 == [one.stdout for one in done]


def test_a_chart_comes_out_the_same(settled: tuple[str, Client]) -> None:
    """The same code draws the same bytes from worker to worker."""
    _, client = settled
    assert 1 == len({client.execute(CHART, template="science").charts[0].data for _ in range(3)})

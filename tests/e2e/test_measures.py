"""Joined mappings, uncounted objects and fresh memory on and off: the status says which, and jobs cannot tell."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import need_namespaces, wait_until

from warmfork import Client, embedded
from warmfork_worker.hot_pages import can_populate

UNCOUNTED = sys.version_info >= (3, 12)  # PEP 683
CODE = """
import weakref
frame = pd.DataFrame({"a": range(5), "b": list("xyxyx")})
class Seen: pass
seen = Seen()
gone = weakref.ref(seen)
del seen
plt.rcParams["font.size"] = 11
np.later, saved = np.mean, plt.plot
del np.later, os.environ["HOME"]
plt.plot = lambda *_: None
plt.plot = saved
json.decoder, sys.path[:] = None, sys.path[:1]
print(gone(), frame.groupby("b")["a"].sum().to_dict(), np.arange(3).sum())
plt.plot(frame["a"])
"""


@pytest.fixture(scope="module", params=["auto", "off"])
def settled(request: pytest.FixtureRequest) -> Iterator[tuple[str, Client]]:
    """A private daemon whose workers come from a settled template, with the setting that the measures have."""
    names = ("joined_mappings", "immortal_objects", "fresh_memory")
    settings = {f"pool.{name}": request.param for name in names}
    with embedded(workers=2, settings=settings) as client:
        wait_until(lambda: all(one["settled"] for one in client.status()["templates"]), "they settle", 60)
        yield request.param, client


def test_the_status_says_what_was_done(settled: tuple[str, Client]) -> None:
    """Of each template: how much, or why not."""
    how, client = settled
    for template in client.status()["templates"]:
        joined, immortal, fresh = template["joined"], template["immortal"], template["fresh"]
        if how == "off":
            assert {"fewer": 0, "detail": "switched off (pool.joined_mappings)"} == joined
            assert {"objects": 0, "detail": "switched off (pool.immortal_objects)"} == immortal
            assert {"taken_bytes": 0, "detail": "switched off (pool.fresh_memory)"} == fresh
            continue
        assert joined["fewer"] > 20
        if "not built" not in fresh["detail"]:
            assert 100 << 10 < fresh["taken_bytes"] < 64 << 20
            assert (immortal["objects"] > 50_000) == UNCOUNTED


@pytest.mark.skipif(not can_populate(), reason="this kernel has no PIDFD_SELF")
def test_the_pages_of_jobs_are_known(settled: tuple[str, Client]) -> None:
    """Every template has learnt what any job writes to; the one with matplotlib what drawing does as well."""
    need_namespaces(settled[1])
    known = {one["name"]: one["pages"]["known_bytes"] for one in settled[1].status()["templates"]}
    assert 400 << 10 < known["science.light"] < 8 << 20
    assert 2 << 20 < known["science"] < 64 << 20


def test_jobs_cannot_tell(settled: tuple[str, Client]) -> None:
    """What a job makes is counted and freed, what it takes away is gone; libraries work; the chart is the same one."""
    _, client = settled
    results: list[Any] = [client.execute("import sys\n" + CODE) for _ in range(6)]
    assert {"None {'x': 6, 'y': 4} 3\n"} == {result.stdout for result in results}
    assert 1 == len({result.charts[0].data for result in results})

"""A guarded and an unguarded daemon per test process, each with its own outside."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.escape.daemons import start_guarded, start_light, start_unguarded, start_unprivileged
from tests.escape.world import Side, World
from tests.support import ROOT, Served

from warmfork.trees import wipe_tree


def _side(served: Served) -> Iterator[Side]:
    world = World(served)
    try:
        with served.client() as client:
            yield Side(served, client, world)
    finally:
        world.close()
        served.stop()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """The shipped guard, with small limits."""
    yield from _side(start_guarded(tmp_path_factory.mktemp("guarded") / "run"))


@pytest.fixture(scope="session")
def unprivileged() -> Iterator[Side]:
    """The shipped guard, of a daemon without any privilege."""
    directory = Path(tempfile.mkdtemp(prefix="wf-"))  # pytest's own are closed to other users
    directory.chmod(0o755)
    try:
        yield from _side(start_unprivileged(directory))
    finally:
        wipe_tree(str(directory))


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """The shipped guard around light workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=":")  # of tests.as_light
        yield from _side(start_light(tmp_path_factory.mktemp("light") / "run"))


@pytest.fixture(scope="session")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """No guard of the kernel."""
    yield from _side(start_unguarded(tmp_path_factory.mktemp("unguarded") / "run"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The numbers of system calls in this suite are those of x86-64."""
    if platform.machine() != "x86_64":
        skip = pytest.mark.skip(reason="the suite knows the system calls of x86-64 only")
        for item in items:
            if "tests/escape" in str(item.path):
                item.add_marker(skip)

"""Fixtures shared by all tests: private daemons and served daemons."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import Served

from warmfork import Client, embedded
from warmfork.trees import wipe_tree


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """A client of a private daemon that all policies are allowed at."""
    with embedded(workers=4) as private:
        yield private


@pytest.fixture(scope="session")
def unguarded() -> Iterator[Client]:
    """A client of a private daemon without the kernel's guard: what other layers and the daemon itself do, alone."""
    with embedded(workers=4, settings={"guard.unguarded": True}) as private:
        yield private


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory that every uid can pass through; pytest's own are closed to all but their owner."""
    path = Path(tempfile.mkdtemp(prefix="wf-", dir="/tmp"))
    path.chmod(0o755)
    yield path / "run"
    wipe_tree(str(path))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts daemons with ``warmfork serve`` and stops them afterwards: ``serve("--limits-timeout-s", "5")``."""
    started: list[Served] = []

    def start(*arguments: str, directory: Path | None = None) -> Served:
        served = Served(directory or tmp_path / f"run{len(started)}", f"test-{uuid.uuid4().hex}", arguments)
        started.append(served)
        served.start()
        return served

    yield start
    for served in started:
        served.stop()

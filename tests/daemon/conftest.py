"""Directories for the tests of the collector."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.fixture
def tmpfs() -> Iterator[Path]:
    """A directory on a tmpfs, as the slots are where namespaces exist."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no tmpfs to write to")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)

"""What the tests of the collector share: a directory opened and collected within bounds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from warmfork_daemon.collector import Collected, collect

MIB = 1 << 20
DEPTH_MAX = 8


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def collected(
    path: Path,
    given: Mapping[str, bytes | memoryview] | None = None,
    *,
    files_max: int = 100,
    file_bytes_max: int = MIB,
    bytes_max: int = MIB,
) -> Collected:
    with opened(path) as fd:
        return collect(fd, given or {}, files_max=files_max, file_bytes_max=file_bytes_max, bytes_max=bytes_max)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))

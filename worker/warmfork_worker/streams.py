"""The job's standard streams as Python objects."""

from __future__ import annotations

import io
import sys


def replace_output() -> None:
    """Make ``sys.stdout`` and ``sys.stderr`` new over descriptors 1 and 2.

    Unbuffered, like ``python -u``: what a job wrote before it is killed has left the process. UTF-8 whatever the
    locale; a lone surrogate comes out as an escape instead of an exception.
    """
    sys.stdout = _text_over(1)
    sys.stderr = _text_over(2)
    # The stubs call these final; setattr, because a job that restores them must get its own streams.
    setattr(sys, "__stdout__", sys.stdout)  # noqa: B010
    setattr(sys, "__stderr__", sys.stderr)  # noqa: B010


def _text_over(fd: int) -> io.TextIOWrapper:
    raw = io.FileIO(fd, "wb", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def replace_input(data: bytes) -> None:
    """Make ``sys.stdin`` read this text; ``input()`` follows it."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace")
    setattr(sys, "__stdin__", sys.stdin)  # as above  # noqa: B010

"""The job's standard streams as Python objects."""

from __future__ import annotations

import io
import sys


def replace_output() -> None:
    """Make ``sys.stdout`` and ``sys.stderr`` new over descriptors 1 and 2.

    Unbuffered, like ``python -u``: what a job wrote before it is killed has left the process. UTF-8 whatever the
    locale; a lone surrogate comes out as an escape instead of an exception.
    """
    sys.stdout = sys.__stdout__ = _text_over(1)
    sys.stderr = sys.__stderr__ = _text_over(2)


def _text_over(fd: int) -> io.TextIOWrapper:
    raw = io.FileIO(fd, "wb", closefd=False)
    # TextIOWrapper takes a raw stream with write_through; typeshed asks for a buffered one.
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[arg-type]


def replace_input(data: bytes) -> None:
    """Make ``sys.stdin`` read this text; ``input()`` follows it."""
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace")

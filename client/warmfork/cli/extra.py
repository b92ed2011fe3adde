"""What needs the extra ``daemon`` says so in one sentence where it is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from warmfork.errors import ExtraMissing


@contextlib.contextmanager
def daemon_extra() -> Iterator[None]:
    """Around imports of the daemon: a missing library becomes ExtraMissing, a fault of our own stays what it is."""
    try:
        yield
    except ExtraMissing:
        raise
    except ImportError as problem:
        if (problem.name or "").partition(".")[0] == "warmfork":
            raise
        raise ExtraMissing(
            f"this needs the daemon's libraries ({problem}); install them with: pip install 'warmfork[daemon]'"
        ) from None

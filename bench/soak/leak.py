"""Leaks on purpose: the daemon is started with a ``sitecustomize`` that makes it leak, and the check must see it.

``twice`` is no leak: there every hundredth message is sent two times.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

KINDS: Final = ("memory", "descriptors", "latency", "twice")
VARIABLE: Final = "WARMFORK_SOAK_LEAK"
_PLACE: Final = Path(__file__).with_name("leaking")


def environment(kind: str) -> dict[str, str]:
    """What makes a daemon that is started with it leak."""
    paths = [str(_PLACE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {VARIABLE: kind, "PYTHONPATH": os.pathsep.join(paths)}

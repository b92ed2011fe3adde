"""Fresh randomness after the fork: idle siblings of one template must never agree.

``os.urandom``, ``secrets``, ``uuid4`` and ``numpy.random.default_rng()`` ask the kernel each time and need nothing.
What the template's memory carries over is the state of the global generators, uuid1's memory and temporary names.
"""

from __future__ import annotations

import random
import sys


def reseed() -> None:
    """Give this process generators of its own, seeded by the kernel."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        uuid._last_timestamp = None
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None

"""Fresh randomness after the fork: idle siblings of one template must never agree.

``os.urandom``, ``secrets``, ``uuid4`` and ``numpy.random.default_rng()`` ask the kernel each time and need nothing.
What the template's memory carries over is the state of numpy's global generator, uuid1's memory and temporary names; and
that of ``random``, which CPython reseeds after a fork by a hook of its own that is not part of its documentation.
"""

from __future__ import annotations

import random
import sys
import tempfile
import uuid


def reseed() -> None:
    """Give this process generators of its own, seeded by the kernel."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    # Private to their modules and without a public way to reset them; setattr because the type stubs leave them out.
    setattr(uuid, "_last_timestamp", None)  # noqa: B010
    setattr(tempfile, "_name_sequence", None)  # noqa: B010

"""Run by Python as it starts, where this directory is on its path: makes a daemon leak, and leaves other programs alone."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

if "warmfork_daemon" in sys.orig_argv:
    from warmfork_daemon.outbox import Outbox

    KEPT: list[Any] = []
    KIND = os.environ["WARMFORK_SOAK_LEAK"]
    SENT = Outbox.send
    count = 0

    def leaky_send(self: Outbox, peer: Any, frames: Any, instead: Any = None) -> bool:
        """Keep 16 KiB of each message; or a descriptor of every fiftieth; or take 10 us longer each time; or send it twice."""
        global count
        count += 1
        if KIND == "memory":
            KEPT.append(b"".join(bytes(frame) for frame in frames)[:16384].ljust(16384, b"."))
        elif KIND == "descriptors" and count % 50 == 0:
            KEPT.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        elif KIND == "latency":
            until_s = time.perf_counter() + 10e-6 * count
            while time.perf_counter() < until_s:
                pass
        elif KIND == "twice" and count % 100 == 0:
            SENT(self, peer, frames, instead)
        return SENT(self, peer, frames, instead)

    Outbox.send = leaky_send  # type: ignore[method-assign]

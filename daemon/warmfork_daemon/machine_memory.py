"""How much memory the machine has left, as the kernel estimates it."""

from __future__ import annotations

from typing import Final

import psutil

from warmfork_daemon.reactor import monotonic_s

_LOOK_S: Final = 0.25


class MachineMemory:
    """Available memory, looked up at most four times a second: under load there are more jobs than that."""

    def __init__(self) -> None:
        self._looked_s = -_LOOK_S
        self._available: int | None = None

    def available_bytes(self) -> int | None:
        """What new work can have without swapping (MemAvailable, proc_meminfo(5)); None where it cannot be read."""
        now_s = monotonic_s()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s, self._available = now_s, _read()
        return self._available


def _read() -> int | None:
    try:
        return int(psutil.virtual_memory().available)
    except (OSError, RuntimeError, ValueError, KeyError):  # no /proc/meminfo, or one without what psutil looks for
        return None

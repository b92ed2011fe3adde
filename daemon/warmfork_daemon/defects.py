"""What becomes of a mistake of ours while the daemon serves."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from warmfork_daemon.reactor import monotonic_s

log = logging.getLogger("warmfork.defects")

_DEFECTS_MAX: Final = 10
_WITHIN_S: Final = 60.0


class Defects:
    """Called with each exception that a callback of the loop let out: a mistake of ours, or of a library.

    It costs what that callback was about, and the others their peace only when it happens again and again: a daemon that
    does nothing else is better started anew.

    Attributes:
        count: of all.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lately: deque[float] = deque(maxlen=_DEFECTS_MAX)

    def __call__(self, problem: Exception) -> None:
        """Log it. Raises it when there have been too many lately."""
        now_s = monotonic_s()
        self.count += 1
        log.error("defect", exc_info=problem)
        if len(self._lately) == _DEFECTS_MAX and now_s - self._lately[0] < _WITHIN_S:
            raise problem
        self._lately.append(now_s)

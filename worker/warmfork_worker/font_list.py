"""matplotlib's list of fonts, made beside a template that does not load matplotlib.

Without it a job that needs matplotlib late would search the machine's fonts, which takes long where there are many.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from warmfork_worker.kernel import calls


class FontList:
    """Makes the list once, in a child of the template; nobody waits for it.

    Args:
        before: called in the child before it imports anything; closes what is the template's.
    """

    def __init__(self, before: Callable[[], None]) -> None:
        self._before = before
        self._pid = 0
        self.pidfd = -1

    def begin(self) -> None:
        """Start making it; ``pidfd`` becomes readable when the child has ended. Raises OSError."""
        template = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._make(template)
        try:
            self.pidfd = os.pidfd_open(self._pid)
        except OSError:
            # Nobody else reaps it, so its pid is still its own here.
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
            raise

    def end(self) -> None:
        """Reap the child, killed if it still runs."""
        if self.pidfd >= 0:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self.pidfd)
            self._pid, self.pidfd = 0, -1

    def _make(self, template: int) -> NoReturn:
        try:
            calls.die_with_parent()
            self._before()
            if os.getppid() == template:
                import_module("matplotlib.font_manager")  # which makes the list when it finds none
        finally:
            os._exit(0)  # it is matplotlib that is missing or broken, and then nobody needs its fonts

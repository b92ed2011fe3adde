"""The directory in which one generation of a template has its workers' slots."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from warmfork.trees import wipe_inside, wipe_tree
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import Reactor

log = logging.getLogger("warmfork.pool")

_AGAIN_S: Final = 10.0


class PoolSlots:
    """Wipes what a template that ended has left.

    Args:
        reactor: the event loop.
        directory: of this generation alone.
        template: whose, for the log.
        in_use: whether there is a template that works in it.
        kept: the directory itself stays when the generation is gone.
    """

    def __init__(
        self, reactor: Reactor, directory: Path, template: str, *, in_use: Callable[[], bool], kept: bool
    ) -> None:
        self._reactor = reactor
        self._directory = directory
        self._template = template
        self._in_use = in_use
        self._kept = kept

    def path_of(self, slot: str) -> str:
        """Where the slot of this name is."""
        return str(self._directory / slot)

    def wipe(self) -> None:
        """Empty the directory, unless another template works in it already; tried again where it cannot be done now."""
        if self._in_use():
            return
        try:
            wipe_inside(str(self._directory))
        except OSError as problem:
            log.warning("slots not wiped", extra=told(template=self._template, problem=problem))
            self._reactor.call_later(_AGAIN_S, self.wipe)

    def remove(self) -> None:
        """The generation is gone, and so is its directory."""
        if not self._kept:
            wipe_tree(str(self._directory))

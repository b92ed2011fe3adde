"""Keeping one template process alive: started, watched until it is ready, started again when it ends.

A start that fails is tried again, ever more slowly. A library of its preload that starts threads is no failure: the
template names it and leaves, and the next one, at once, leaves it out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmfork.wire import control
from warmfork.wire.records import TemplateInfo, TemplateState
from warmfork_daemon.backoff import Backoff
from warmfork_daemon.config import Config
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import Reactor, Timer
from warmfork_daemon.template_link import TemplateLink, copy_packages
from warmfork_daemon.templates import TemplateSpec, start_order

log = logging.getLogger("warmfork.template")

RESTART_S: Final = 0.1
_RESTART_S_MAX: Final = 60.0
_LEAVE_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class KeeperEvents:
    """Whom the keeper tells what.

    Attributes:
        starting: it is started again.
        ready: the template said that it is.
        record: what else it sent, with the descriptors that came along.
        ended: the process is gone, and its workers with it.
        failed: it ended before it was ready; told after ``ended``.
    """

    starting: Callable[[], None]
    ready: Callable[[control.Ready], None]
    record: Callable[[control.Control, list[int]], None]
    ended: Callable[[], None]
    failed: Callable[[], None]


class TemplateKeeper:
    """Keeps the process of one template.

    Args:
        reactor: the event loop.
        config: the maxima of its workers.
        spec: the template.
        slots_dir: directory of its slots.
        environment: all that it gets.
        events: whom to tell.

    Attributes:
        problem: why its last start failed; empty once it is ready.
        retry_after_s: how long after a failed start the next one follows.
        left_out: modules of its preload that were found to start threads.
        starts: how many there were.
    """

    def __init__(
        self,
        reactor: Reactor,
        config: Config,
        spec: TemplateSpec,
        slots_dir: Path,
        environment: Mapping[str, str],
        events: KeeperEvents,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._spec = spec
        self._slots_dir = slots_dir
        self._environment = environment
        self._events = events
        self._link: TemplateLink | None = None
        self._start_timer: Timer | None = None
        self._backoff = Backoff(RESTART_S, _RESTART_S_MAX)
        self._reason = ""
        self._start_again = False
        self._closing = False
        self._ready: control.Ready | None = None
        self.problem = ""
        self.retry_after_s = 0.0
        self.left_out: list[str] = []
        self.starts = 0

    @property
    def info(self) -> TemplateInfo | None:
        """What the template said of itself; None while it is not ready."""
        return None if self._ready is None else self._ready.template

    @property
    def layers(self) -> tuple[control.Layer, ...]:
        """Of the kernel guard, as the living template found them; none while it is not ready."""
        return () if self._ready is None else self._ready.layers

    @property
    def state(self) -> TemplateState:
        """Of the template; ``failed`` also while a start after a failed one is under way."""
        if self._ready is not None:
            return "ready"
        return "failed" if self.problem else "starting"

    @property
    def pid(self) -> int | None:
        """Of the living process; once it is ready, of the one that forks, which in a pid namespace is a child of the first."""
        if self._link is None:
            return None
        return self._ready.pid if self._ready is not None else self._link.pid

    def start(self) -> None:
        """Start the process."""
        self.starts += 1
        try:
            Path(self._environment["MPLCONFIGDIR"]).mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._spec.is_foreign:
                copy_packages(self._environment["PYTHONPATH"])
            self._link = TemplateLink(
                self._reactor, self._spec.python, self._environment, self._on_record, self._on_end
            )
        except OSError as problem:
            self._reason = f"it could not be started: {problem}"
            self._reactor.call_later(0.0, self._on_end)  # whoever called this is to return first
            return
        self._start_timer = self._reactor.call_later(self._spec.start_timeout_s, self._give_up_start)
        self._link.send(start_order(self._spec, self._config, self._slots_dir, self.left_out))

    def send(self, record: control.Control, fds: Sequence[int] = ()) -> None:
        """Send a record to the living process; the descriptors are closed here once they are on their way."""
        assert self._link is not None
        self._link.send(record, fds)

    def _give_up_start(self) -> None:
        self._reason = f"it was not ready after {self._spec.start_timeout_s:g} s"
        if self._link is not None:
            link = self._link
            link.close()
            link.wait(0.0)
            self._on_end()

    def _on_record(self, record: control.Control, fds: list[int]) -> None:
        if isinstance(record, control.Ready):
            self._on_ready(record)
        elif isinstance(record, control.Threaded):
            self._leave_out(record)
        else:
            self._events.record(record, fds)

    def _on_ready(self, record: control.Ready) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
        self._ready = record
        self.problem = ""
        self._backoff.reset()
        for library in record.template.libraries:
            if library.error:
                log.warning(
                    "preload failed",
                    extra=told(template=self._spec.name, module=library.name, problem=library.error),
                )
        self._events.ready(record)

    def _leave_out(self, record: control.Threaded) -> None:
        if record.module in self.left_out:
            return  # its end is then a failed start like any other
        log.warning(
            "a module starts threads, starting again without it",
            extra=told(template=self._spec.name, module=record.module, threads=record.threads),
        )
        self.left_out.append(record.module)
        self._start_again = True

    def _on_end(self) -> None:
        link, self._link = self._link, None
        was_ready, self._ready = self._ready is not None, None
        if self._start_timer is not None:
            self._start_timer.cancel()
        status = 0 if link is None else link.wait(_LEAVE_S)
        try:
            self._events.ended()
        finally:  # whatever went wrong with what it left: without another there would never be a worker again
            if not self._closing:
                self._go_on(was_ready, status)

    def _go_on(self, was_ready: bool, status: int) -> None:
        if self._start_again:
            self._start_again = False
            self._reactor.call_later(0.0, self._restart)
        elif was_ready:
            log.error("template ended, starting another", extra=told(template=self._spec.name, status=status))
            self._reactor.call_later(RESTART_S, self._restart)
        else:
            self._on_failed_start(self._reason or f"it ended with status {status}; what it printed says why")

    def _on_failed_start(self, reason: str) -> None:
        self.problem, self._reason = reason, ""
        self.retry_after_s = self._backoff.next_s()
        log.error("template not ready", extra=told(template=self._spec.name, problem=reason))
        self._reactor.call_later(self.retry_after_s, self._restart)
        self._events.failed()

    def _restart(self) -> None:
        if not self._closing and self._link is None:
            self._events.starting()
            self.start()

    def kill(self) -> None:
        """End a process that hangs, at once and with all that it forked; its end is then met like any other."""
        if self._link is not None:
            self._link.kill()

    def reconfigure(self, config: Config, spec: TemplateSpec) -> None:
        """Take over what a next start is to use."""
        self._config, self._spec = config, spec

    def close(self) -> None:
        """Let the process leave, kill it when it does not in time, and start no other."""
        if self._part() is not None:
            self._on_end()

    def leave(self) -> None:
        """As ``close``, but for the waiting: ``ended`` is told when the process is gone, or at once where there is none."""
        link = self._part()
        if link is None:
            self._reactor.call_later(0.0, self._events.ended)
        else:
            link.call_when_gone(_LEAVE_S, self._on_gone)

    def _on_gone(self) -> None:
        if self._link is not None:  # a daemon that stops waits for it itself
            self._on_end()

    def _part(self) -> TemplateLink | None:
        """Start no other, and tell the living process, if there is one, to leave."""
        self._closing = True
        if self._link is not None:
            self._link.close()
            if self._ready is None:
                self._link.kill()  # it reads nothing while it imports, and has made nothing yet that is to be wiped
        return self._link

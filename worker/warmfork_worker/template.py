"""The template: preloads once, then forks a worker whenever the daemon asks, and waits for each.

One thread. It leaves when its control socket ends, because then the daemon is gone: it kills its workers first and
wipes their slots. It must not die with its parent by PDEATHSIG once there is something to wipe; until it is ready
there is nothing, and a daemon killed meanwhile must not leave it importing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final, NoReturn

from warmfork.trees import wipe_tree
from warmfork.wire import control
from warmfork.wire.records import LibraryInfo, TemplateInfo
from warmfork_worker import syscalls
from warmfork_worker.entry import WorkerSetup, become_worker
from warmfork_worker.fonts import FontReport, install_fonts
from warmfork_worker.policy import Guard, default_readable_roots
from warmfork_worker.preload import DEFAULT_PRELOAD, Loaded, preload, single_threaded
from warmfork_worker.rehearsal import rehearse
from warmfork_worker.saved_figures import watch_saves
from warmfork_worker.slots import Slot, make_slot

# Sent to a whole process group by terminals, timeout(1) and service managers. They are the daemon's business: a template
# that died of one beside its daemon would leave the slots to nobody.
GROUP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Child:
    worker_id: int
    pid: int
    slot: Slot
    pidfd: int | None


class Template:
    """Forks and reaps workers at the daemon's word.

    Args:
        link: the control socket, connected.
        start: the daemon's first packet.
    """

    def __init__(self, link: socket.socket, start: control.Start) -> None:
        self._link = link
        self._start = start
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._by_pidfd: dict[int, _Child] = {}

    def prepare(self) -> None:
        """Preload, install fonts, rehearse, freeze; then say ready. Ends the process if a library left a thread."""
        start = self._start
        loaded = preload((*DEFAULT_PRELOAD, *start.preload))
        font = install_fonts(start.font_dirs)
        watch_saves()
        if start.rehearse:
            rehearse()
        self._setup = WorkerSetup(
            start=start,
            template_pid=os.getpid(),
            guard=Guard(self._readable(font)),
            cjk_family=font.family,
        )
        if not single_threaded():
            sys.exit("a preloaded library started a thread; a template with threads cannot fork safely")
        gc.collect()
        gc.freeze()
        syscalls.outlive_parent()
        os.nice(start.nice)  # only now: on a busy machine a template that imports politely is never ready
        self._send(control.Ready(_describe(start.name, loaded, font)))

    def _readable(self, font: FontReport) -> tuple[str, ...]:
        own = (os.environ.get("MPLCONFIGDIR", ""), os.path.dirname(font.path), *self._start.font_dirs)
        return (*default_readable_roots(), *filter(None, own))

    def serve(self) -> None:
        """Fork, reap and wipe until the control socket ends."""
        while True:
            for fd, _ in self._poll.poll():
                child = self._by_pidfd.get(fd)
                if child is not None:
                    self._reap(child)
                elif fd == self._link.fileno() and not self._obey():
                    return

    def _obey(self) -> bool:
        try:
            packet, fds, _, _ = socket.recv_fds(self._link, control.PACKET_BYTES_MAX, control.FDS_MAX)
        except ConnectionResetError:  # the daemon went while something to it was unread
            return False
        if not packet:
            return False
        try:
            order = control.decode(packet)
            if isinstance(order, control.Fork):
                self._fork(order, fds)
            elif isinstance(order, control.Release):
                self._release(order.worker_id)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, order: control.Fork, fds: list[int]) -> None:
        assert single_threaded(), "the template grew a thread"
        try:
            slot = make_slot(self._start.slots_dir, order.slot)
        except OSError as problem:
            self._send(control.ForkFailed(order.worker_id, f"making the slot: {problem}"))
            return
        try:
            pid = os.fork()
        except OSError as problem:
            os.close(slot.work_fd)
            wipe_tree(slot.path)
            self._send(control.ForkFailed(order.worker_id, f"fork: {problem}"))
            return
        if pid == 0:
            self._close_inherited(slot.work_fd)
            become_worker(self._setup, slot, fds)
        # The child cannot be reaped by anyone else, so its pid is still its own here.
        child = _Child(order.worker_id, pid, slot, os.pidfd_open(pid))
        assert child.pidfd is not None
        self._children[order.worker_id] = child
        self._by_pidfd[child.pidfd] = child
        self._poll.register(child.pidfd, select.POLLIN)
        self._send(control.Forked(order.worker_id, pid), [child.pidfd, slot.work_fd])

    def _close_inherited(self, own_work_fd: int) -> None:
        """In the child: close what belongs to the template and to siblings, by name (a library may own descriptors)."""
        self._link.close()
        os.close(own_work_fd)
        for sibling in self._children.values():
            if sibling.pidfd is not None:
                os.close(sibling.pidfd)
            os.close(sibling.slot.work_fd)

    def _reap(self, child: _Child) -> None:
        assert child.pidfd is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # While the leader is a zombie nobody else can have its process group's number.
            os.killpg(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        self._poll.unregister(child.pidfd)
        del self._by_pidfd[child.pidfd]
        os.close(child.pidfd)
        child.pidfd = None
        self._send(control.Exited(child.worker_id, status, usage.ru_utime + usage.ru_stime))

    def _release(self, worker_id: int) -> None:
        child = self._children.pop(worker_id, None)
        if child is None:
            return
        if child.pidfd is not None:
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            self._reap(child)
        os.close(child.slot.work_fd)
        wipe_tree(child.slot.path)

    def leave(self) -> None:
        """Kill every worker, reap it, and wipe its slot and whatever else stands among the slots."""
        for child in self._children.values():
            if child.pidfd is not None:
                signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        for worker_id in list(self._children):
            self._release(worker_id)
        with contextlib.suppress(FileNotFoundError):  # a daemon that stopped in order was here first
            for name in os.listdir(self._start.slots_dir):
                wipe_tree(os.path.join(self._start.slots_dir, name))

    def _send(self, record: control.Control, fds: list[int] | None = None) -> None:
        # When the daemon is gone, the end of the socket is read next.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._link, [control.encode(record)], fds or [])


def _describe(name: str, loaded: tuple[Loaded, ...], font: FontReport) -> TemplateInfo:
    libraries = tuple(LibraryInfo(item.name, item.version, round(item.seconds, 4), item.error) for item in loaded)
    version = ".".join(map(str, sys.version_info[:3]))
    return TemplateInfo(name, version, libraries, font.family)


def run_template(control_fd: int) -> NoReturn:
    """Be the template on this control socket until it ends; then exit the process."""
    link = socket.socket(fileno=control_fd)
    syscalls.die_with_parent()
    daemon_pid, _, _ = struct.unpack("iII", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if os.getppid() != daemon_pid:
        os._exit(0)  # the daemon died before the call above: nothing would tell us
    packet = link.recv(control.PACKET_BYTES_MAX)
    if not packet:
        os._exit(0)
    start = control.decode(packet)
    if not isinstance(start, control.Start):
        sys.exit("the first control packet is not Start")
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    template = Template(link, start)
    template.prepare()
    try:
        template.serve()
    finally:
        template.leave()
    os._exit(0)

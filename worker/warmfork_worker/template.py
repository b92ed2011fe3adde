"""The template: preloads once, then forks a worker whenever the daemon asks, and waits for each.

One thread. It leaves when its control socket ends, because then the daemon is gone: it kills its workers first and
wipes their slots. It must not die with its parent by PDEATHSIG once there is something to wipe; until it is ready
there is nothing, and a daemon killed meanwhile must not leave it importing.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import replace
from typing import Final, NoReturn

from warmfork.trees import wipe_inside
from warmfork.wire import control
from warmfork.wire.records import LibraryInfo, TemplateInfo
from warmfork_worker.adaptations import adapt_libraries
from warmfork_worker.children import Child, Children
from warmfork_worker.drawing import prepare_drawing, want_shortcuts
from warmfork_worker.entry import WorkerSetup, become_worker, settle, steps_to_enter, warm_up
from warmfork_worker.font_list import FontList
from warmfork_worker.fonts import FontReport
from warmfork_worker.forking import drop_needless_hooks
from warmfork_worker.kernel import calls, proc
from warmfork_worker.kernel.guard import KernelGuard
from warmfork_worker.kernel.rlimits import Limits
from warmfork_worker.kernel.steps import Steps, use_no_native_steps
from warmfork_worker.late import LateLibraries
from warmfork_worker.launch import GROUP_SIGNALS, World, own_pid
from warmfork_worker.learner import Learner
from warmfork_worker.lessons import Lessons
from warmfork_worker.measures import Measures
from warmfork_worker.native import load_native_parts
from warmfork_worker.native_loop import Born, NativeLoop
from warmfork_worker.policy import Guard, default_readable_roots
from warmfork_worker.preload import Loaded, ThreadsLeft, late_modules, modules_for, preload, single_threaded
from warmfork_worker.rehearsal import Rehearsal
from warmfork_worker.slots import MountedSlots, Slot

_FORK_FDS: Final = 3  # channel, stdout, stderr
_FD: Final = struct.Struct("i")
_FDS_SPACE: Final = socket.CMSG_SPACE(control.FDS_MAX * _FD.size)
_QUIET_MS: Final = 20
_REHEARSE_AT_LEAST_S: Final = 0.5
_ACCOUNTS: Final = ("/etc/passwd", "/etc/group")  # of the private root: one user, nothing of the host


class Template:
    """Forks and reaps workers at the daemon's word.

    Args:
        link: the control socket, connected.
        start: the daemon's first packet.
        world: what was entered before anything was imported.
    """

    def __init__(self, link: socket.socket, start: control.Start, world: World) -> None:
        self._link = link
        self._start = start
        self._world = world
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._children = Children(self._poll)
        self._rehearsal: Rehearsal | None = None
        self._font_list: FontList | None = None
        self._learner: Learner | None = None
        self._lessons: Lessons | None = None
        self._loop: NativeLoop | None = None
        self._settled: control.Settled | None = None
        self._heap_bytes = 0

    def prepare(self) -> None:
        """Preload, install fonts, freeze; then say ready. Ends the process if a library left a thread.

        What only makes jobs faster comes after: see ``serve``.
        """
        start = self._start
        try:
            loaded = preload(modules_for(start.base, start.preload), start.left_out)
        except ThreadsLeft as left:
            self._send(control.Threaded(left.module, left.threads))
            os._exit(0)  # not by sys.exit, which would wait for the threads
        if self._world.active("seccomp") and not self._world.private:
            load_native_parts()
        adapt_libraries(processes=not self._world.active("seccomp"))
        want_shortcuts(start.chart_shortcuts)
        drawing = prepare_drawing(start.font_dirs)
        if drawing is not None and start.rehearse:
            self._rehearsal = Rehearsal()
        font = drawing or FontReport()
        slots, kernel_guard = self._world.slots, self._kernel_guard(font)
        setup = WorkerSetup(os.getpid(), slots, kernel_guard, Guard(self._readable(font)), font.family)
        self._setup = replace(setup, steps=self._steps(setup))
        if start.base == "light":
            self._wait_for_libraries(self._setup.guard)
        if not start.native_steps:
            use_no_native_steps()
        _refuse_threads()
        for mapping in proc.writable_code():
            # Workers would inherit it, and the guard's word that nothing a job writes becomes code would not hold.
            sys.stderr.write(f"warmfork: a preloaded library keeps memory that is writable and executable: {mapping}\n")
        gc.freeze()
        self._measures = Measures(start)
        if self._world.private:
            calls.set_dumpable(False)
        else:
            calls.outlive_parent()  # from here on there are slots to wipe
        _block_group_signals()
        os.nice(start.nice)  # only now: on a busy machine a template that imports politely is never ready
        self._send(control.Ready(_describe(start.name, loaded, font), own_pid(), self._world.layers))
        if self._font_list is not None:
            self._begin_font_list(self._font_list)
        if self._rehearsal is None:
            self._settle()

    def _wait_for_libraries(self, guard: Guard) -> None:
        start = self._start
        late = LateLibraries(
            late_modules(start.preload, start.left_out),
            start.font_dirs,
            guard,
            processes=not self._world.active("seccomp"),
        )
        late.install()

        def before() -> None:
            self._close_inherited()
            late.remove()

        self._font_list = FontList(before)

    def _kernel_guard(self, font: FontReport) -> KernelGuard:
        start, world = self._start, self._world
        limits = Limits(
            start.file_bytes_max, start.open_files_max, start.memory_bytes_max, start.cpu_s_max, start.threads_max
        )
        return KernelGuard(
            limits,
            world.trees,
            (*self._own_readable(font), *(_ACCOUNTS if world.private else ())),
            identity=world.identity,
            mounted_slots=world.private,
            use_landlock=world.active("landlock"),
            use_seccomp=world.active("seccomp"),
        )

    def _steps(self, setup: WorkerSetup) -> Steps | None:
        places = setup.slots.places
        return None if places is None else steps_to_enter(setup, places.work_dir, places.temp_dir)

    def _readable(self, font: FontReport) -> tuple[str, ...]:
        return (*default_readable_roots(), *self._own_readable(font))

    def _own_readable(self, font: FontReport) -> tuple[str, ...]:
        own = (os.environ.get("MPLCONFIGDIR", ""), os.path.dirname(font.path), *self._start.font_dirs)
        return tuple(filter(None, own))

    def serve(self) -> None:
        """Fork, reap and wipe until the control socket ends; rehearse meanwhile, a picture at a time.

        Orders come first, but a template that never has a pause settles all the same.
        """
        rehearsed_s = time.monotonic()
        while True:
            if (loop := self._native_loop()) is not None:
                if not self._serve_natively(loop):
                    return
                continue
            events = self._poll.poll(None if self._rehearsal is None else _QUIET_MS)
            if self._rehearsal is not None and (not events or time.monotonic() - rehearsed_s > _REHEARSE_AT_LEAST_S):
                if not self._rehearsal.step():
                    self._settle()
                rehearsed_s = time.monotonic()
            for fd, _ in events:
                child = self._children.of_pidfd(fd)
                if child is not None:
                    self._send(self._children.reap(child))
                    if self._world.private:
                        self._children.forget(child.worker_id)  # there is no slot that outlives it
                elif self._font_list is not None and fd == self._font_list.pidfd:
                    self._end_font_list()
                elif self._learner and self._lessons and self._settled and fd == self._learner.fd:
                    self._learn(self._learner, self._lessons, self._settled)
                elif fd == self._link.fileno() and not self._obey():
                    return

    def _native_loop(self) -> NativeLoop | None:
        """What serves from now on, once nothing is to be looked after but orders and children."""
        if not self._start.native_steps:
            return None
        busy = (self._rehearsal, self._learner, self._font_list) != (None, None, None)
        slots = self._world.slots
        if busy or not self._settled or not isinstance(slots, MountedSlots):
            return None
        loop = self._loop or NativeLoop(self._link.fileno(), slots, self._heap_bytes)
        self._loop = loop
        return loop if loop.available else None

    def _serve_natively(self, loop: NativeLoop) -> bool:
        told = loop.run(self._children.hand_over())
        if isinstance(told, Born):
            become_worker(self._setup, told.slot, told.fds)
        for child in told.children:
            self._children.add(child)
        return self._act(told.packet, told.fds)

    def _begin_font_list(self, font_list: FontList) -> None:
        try:
            font_list.begin()
        except OSError:  # a job that needs fonts then searches for them itself
            self._font_list = None
        else:
            self._poll.register(font_list.pidfd, select.POLLIN)

    def _end_font_list(self) -> None:
        if self._font_list is not None:
            self._poll.unregister(self._font_list.pidfd)
            self._font_list.end()
            self._font_list = None

    def _settle(self) -> None:
        """What is done once, when nothing in here changes any more, and what makes every later fork cheaper."""
        failed = tuple(self._rehearsal.failed) if self._rehearsal is not None else ()
        self._rehearsal = None
        self._send(control.Settling())
        _refuse_threads()
        gc.unfreeze()
        drop_needless_hooks()
        gc.collect()  # whatever that still runs of a library, it draws no random number after ``warm_up``
        places = self._world.slots.places
        if places is not None:
            settle(self._setup.guard, places.work_dir, places.temp_dir)
            self._setup = replace(self._setup, settled=True)
            warm_up(self._setup.guard, Slot(places.work_dir, places.temp_dir, -1))
        taken = self._measures.take()
        self._heap_bytes = taken.heap_bytes
        self._setup = replace(self._setup, address_max=self._setup.kernel_guard.address_max())
        self._lessons = Lessons(self._setup, wanted=self._start.hot_pages)
        self._settled = control.Settled(failed, taken.told)
        self._begin_lesson(self._lessons, self._settled)

    def _begin_lesson(self, lessons: Lessons, settled: control.Settled) -> None:
        """Learn the next. Only after the last is it settled: the workers to come are to have it all."""
        self._learner = lessons.begin(self._close_inherited, self._own_fds())
        if self._learner is None:
            self._send(replace(settled, measures=(*settled.measures, lessons.measure)))
        else:
            self._poll.register(self._learner.fd, select.POLLIN)

    def _learn(self, learner: Learner, lessons: Lessons, settled: control.Settled) -> None:
        if learner.read():
            return
        self._poll.unregister(learner.fd)
        self._setup = lessons.taught(self._setup, learner.learnt())
        self._begin_lesson(lessons, settled)

    def _obey(self) -> bool:
        try:
            packet, ancillary, _, _ = self._link.recvmsg(control.PACKET_BYTES_MAX, _FDS_SPACE)
        except ConnectionResetError:  # the daemon went while something to it was unread
            return False
        return self._act(packet, [fd for _, _, data in ancillary for (fd,) in _FD.iter_unpack(data)])

    def _act(self, packet: bytes, fds: list[int]) -> bool:
        """Do what the daemon asks for; False when there is no daemon any more."""
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
        if self._rehearsal is not None:  # nothing but this file runs any more once the template has settled
            assert single_threaded(), "the template grew a thread"
        if len(fds) != _FORK_FDS:
            self._send(control.ForkFailed(order.worker_id, "no descriptors left in the template"))
            return
        try:
            slot = self._world.slots.make(order.slot)
        except OSError as problem:
            self._send(control.ForkFailed(order.worker_id, f"making the slot: {problem}"))
            return
        try:
            pid = os.fork()
        except OSError as problem:
            slot.close()
            self._world.slots.wipe(slot)
            self._send(control.ForkFailed(order.worker_id, f"fork: {problem}"))
            return
        if pid == 0:
            become_worker(self._setup, slot, fds)
        try:
            # The child cannot be reaped by anyone else, so its pid is still its own here.
            pidfd = os.pidfd_open(pid)
        except OSError as problem:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            slot.close()
            self._world.slots.wipe(slot)
            self._send(control.ForkFailed(order.worker_id, f"no descriptor for the worker: {problem}"))
            return
        self._children.add(Child(order.worker_id, pid, slot, pidfd))
        self._send(control.Forked(order.worker_id, pid, self._heap_bytes), [pidfd, slot.work_fd])
        slot.close()  # the daemon and the worker have theirs

    def _close_inherited(self) -> None:
        """In the child: close what belongs to the template and to siblings, by name (a library may own descriptors)."""
        self._link.close()
        for sibling in self._children.living:
            if sibling.pidfd is not None:
                os.close(sibling.pidfd)

    def _own_fds(self) -> list[int]:
        """What ``_close_inherited`` closes, by number."""
        pidfds = [sibling.pidfd for sibling in self._children.living]
        return [self._link.fileno(), *(fd for fd in pidfds if fd is not None)]

    def _release(self, worker_id: int) -> None:
        child = self._children.forget(worker_id)
        if child is None:
            return
        if child.pidfd is not None:
            self._children.kill(child)
            self._send(self._children.reap(child))
        self._world.slots.wipe(child.slot)

    def leave(self) -> None:
        """Kill every worker, reap it, and wipe its slot and whatever else stands among the slots."""
        self._end_font_list()
        for child in self._children.living:
            self._children.kill(child)
        for worker_id in self._children.ids:
            self._release(worker_id)
        if self._world.private:
            return  # the mounts end with us
        wipe_inside(self._start.slots_dir)  # of which a daemon that stopped in order leaves nothing

    def _send(self, record: control.Control, fds: list[int] | None = None) -> None:
        # When the daemon is gone, the end of the socket is read next.
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
        try:  # noqa: SIM105
            self._link.sendmsg([control.encode(record)], rights)
        except (BrokenPipeError, ConnectionResetError):
            pass


def _block_group_signals() -> None:
    """Ignored until here; blocked, they take no step but one to be what a job's process has."""
    signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _refuse_threads() -> None:
    if not single_threaded():
        sys.stderr.write("a library started a thread after its import; a template with threads cannot fork safely\n")
        os._exit(1)


def _describe(name: str, loaded: tuple[Loaded, ...], font: FontReport) -> TemplateInfo:
    libraries = tuple(LibraryInfo(item.name, item.version, round(item.seconds, 4), item.error) for item in loaded)
    version = ".".join(map(str, sys.version_info[:3]))
    return TemplateInfo(name, version, libraries, font.family)


def run_template(link: socket.socket, start: control.Start, world: World) -> NoReturn:
    """Be the template on this control socket until it ends; then exit the process."""
    template = Template(link, start, world)
    template.prepare()
    try:
        template.serve()
    finally:
        template.leave()
    os._exit(0)

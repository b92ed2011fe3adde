"""Entering the worker: from the fork to the wait for the one job.

The order matters. Everything that binds the job stands before the job is read, any failure ends the process before
that, and all of it happens while the worker waits idle, so that it costs a job nothing:
streams, the slot's mounts, the guard's first part (``KernelGuard.limit``), parent-death signal, process group, randomness,
directories, streams as Python objects, a dry run, the guard's last part (``KernelGuard.close``), "ready", and only then
the read.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import traceback
from dataclasses import dataclass
from typing import Final, NoReturn

from warmfork_worker import randomness, streams
from warmfork_worker.channel import READY, read_order, send_report, wait_to_be_killed
from warmfork_worker.hot_pages import HotPages
from warmfork_worker.kernel import calls
from warmfork_worker.kernel.guard import KernelGuard
from warmfork_worker.kernel.rlimits import set_for_job
from warmfork_worker.policy import Guard
from warmfork_worker.run import prepare, run_job
from warmfork_worker.slots import Slot, Slots

EXIT_BEFORE_JOB: Final = 70


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What the template prepared for every worker.

    Attributes:
        template_pid: whose child the worker must still be.
        slots: puts a worker's directories in place.
        kernel_guard: the boundary.
        guard: the Python-level policies, built.
        cjk_family: font family that draws Chinese text, empty if there is none.
        hot_pages: which memory drawing writes to, once that is known.
    """

    template_pid: int
    slots: Slots
    kernel_guard: KernelGuard
    guard: Guard
    cjk_family: str
    hot_pages: HotPages | None = None


def become_worker(setup: WorkerSetup, slot: Slot, fds: list[int]) -> NoReturn:
    """In the forked child: enter, wait, run one job, report, exit. Never returns.

    Args:
        setup: what the template prepared.
        slot: the worker's private directories.
        fds: the job channel, stdout and stderr, as they came with ``Fork``.
    """
    try:
        channel_fd, stdout_fd, stderr_fd = fds
        # Not the template's: flags and locks live in the open file description, and that one is every worker's.
        nothing_fd = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing_fd, 0)
        os.close(nothing_fd)
        os.dup2(stdout_fd, 1)
        os.dup2(stderr_fd, 2)
        os.close(stdout_fd)
        os.close(stderr_fd)
        channel = socket.socket(fileno=channel_fd)
        _enter(setup, slot, channel)
        channel.sendall(READY)
        order = read_order(channel)
        if order is not None:
            set_for_job(order.address_bytes, order.cpu_s)
    except BaseException:
        traceback.print_exc()
        os._exit(EXIT_BEFORE_JOB)
    if order is None:
        os._exit(0)
    report = run_job(order, setup.guard, slot, setup.cjk_family, setup.hot_pages)
    send_report(channel, report)
    wait_to_be_killed(channel)
    os._exit(0)


def _enter(setup: WorkerSetup, slot: Slot, channel: socket.socket) -> None:
    setup.slots.enter(slot)
    setup.kernel_guard.limit()
    calls.die_with_parent()  # after every change of credentials, which may clear it
    if os.getppid() != setup.template_pid:
        os._exit(EXIT_BEFORE_JOB)  # the template died between the fork and the call above
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # which the template ignores
        signal.signal(number, signal.SIG_DFL)
    randomness.reseed()
    _enter_directories(slot)
    streams.replace_output()
    prepare(setup.guard, slot)
    setup.kernel_guard.close((slot.work_dir, slot.temp_dir), (channel.fileno(),))


def _enter_directories(slot: Slot) -> None:
    os.chdir(slot.work_dir)
    os.umask(0o077)
    os.environ["HOME"] = slot.work_dir
    for name in ("TMP", "TMPDIR", "TEMP"):
        os.environ[name] = slot.temp_dir
    for name in [name for name in os.environ if name.startswith("WARMFORK_")]:
        del os.environ[name]
    tempfile.tempdir = None  # asked for again, from the environment above

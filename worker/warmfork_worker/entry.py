"""Entering the worker: from the fork to the wait for the one job.

The order matters. Everything that binds the job stands before the job is read, any failure ends the process before
that, and all of it happens while the worker waits idle, so that it costs a job nothing:
streams, parent-death signal, process group, rlimits, no_new_privs, descriptors, randomness, directories, streams as
Python objects, a dry run, the kernel's guard (``enter_kernel_guard``), "ready", and only then the read.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import tempfile
import traceback
from dataclasses import dataclass
from typing import Final, NoReturn

from warmfork.wire import control
from warmfork_worker import randomness, streams, syscalls
from warmfork_worker.channel import READY, read_order, send_report, wait_to_be_killed
from warmfork_worker.kernel_guard import enter_kernel_guard
from warmfork_worker.policy import Guard
from warmfork_worker.run import prepare, run_job
from warmfork_worker.slots import Slot

EXIT_BEFORE_JOB: Final = 70


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What the template prepared for every worker.

    Attributes:
        start: the daemon's orders to the template.
        template_pid: whose child the worker must still be.
        guard: the Python-level policies, built.
        cjk_family: font family that draws Chinese text, empty if there is none.
    """

    start: control.Start
    template_pid: int
    guard: Guard
    cjk_family: str


def become_worker(setup: WorkerSetup, slot: Slot, fds: list[int]) -> NoReturn:
    """In the forked child: enter, wait, run one job, report, exit. Never returns.

    Args:
        setup: what the template prepared.
        slot: the worker's private directories.
        fds: the job channel, stdout and stderr, as they came with ``Fork``.
    """
    try:
        channel_fd, stdout_fd, stderr_fd = fds
        os.dup2(stdout_fd, 1)
        os.dup2(stderr_fd, 2)
        os.close(stdout_fd)
        os.close(stderr_fd)
        channel = socket.socket(fileno=channel_fd)
        _enter(setup, slot)
        channel.sendall(READY)
        order = read_order(channel)
    except BaseException:
        traceback.print_exc()
        os._exit(EXIT_BEFORE_JOB)
    if order is None:
        os._exit(0)
    report = run_job(order, setup.guard, slot, setup.cjk_family)
    send_report(channel, report)
    wait_to_be_killed(channel)
    os._exit(0)


def _enter(setup: WorkerSetup, slot: Slot) -> None:
    syscalls.die_with_parent()
    if os.getppid() != setup.template_pid:
        os._exit(EXIT_BEFORE_JOB)  # the template died between the fork and the call above
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # which the template ignores
        signal.signal(number, signal.SIG_DFL)
    _set_limits(setup.start)
    syscalls.set_no_new_privileges()
    randomness.reseed()
    _enter_directories(slot)
    streams.replace_output()
    prepare(setup.guard, slot)
    enter_kernel_guard(slot)


def _set_limits(start: control.Start) -> None:
    """The daemon's maxima; what a request asks for is set from outside before the job is sent."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_FSIZE: start.file_bytes_max,
        resource.RLIMIT_NOFILE: start.open_files_max,
        resource.RLIMIT_AS: _address_space_bytes() + start.memory_bytes_max,
        resource.RLIMIT_CPU: start.cpu_s_max,
    }
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (value, value))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _enter_directories(slot: Slot) -> None:
    os.chdir(slot.work_dir)
    os.umask(0o077)
    os.environ["HOME"] = slot.work_dir
    for name in ("TMP", "TMPDIR", "TEMP"):
        os.environ[name] = slot.temp_dir
    for name in [name for name in os.environ if name.startswith("WARMFORK_")]:
        del os.environ[name]
    tempfile.tempdir = None  # asked for again, from the environment above

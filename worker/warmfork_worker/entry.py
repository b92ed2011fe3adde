"""Entering the worker: from the fork to the wait for the one job.

The order matters. Everything that binds the job stands before the job is read, any failure ends the process before
that, and all of it happens while the worker waits idle, so that it costs a job nothing: streams, the slot's mounts, the
guard's first part (``KernelGuard.add_limits``), parent-death signal, process group, directories, the guard's last part
(``KernelGuard.add_last``), all of these as steps that the template put together; then randomness, the interpreter where
the template could not settle it for all, a dry run, "ready", and only then the read.
"""

from __future__ import annotations

import gc
import os
import signal
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
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.policy import Guard
from warmfork_worker.run import dry_run, run_job, settle_for_code
from warmfork_worker.slots import Slot, Slots

EXIT_BEFORE_JOB: Final = 70
_STANDARD_FDS_MAX: Final = 2
_ROUNDS_TO_LEARN: Final = 20
_NO_SIGNALS: Final = bytes(8)
_KERNEL_SIGSET_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What the template prepared for every worker.

    Attributes:
        template_pid: whose child the worker must still be.
        slots: puts a worker's directories in place.
        kernel_guard: the boundary.
        guard: the Python-level policies, built.
        cjk_family: font family that draws Chinese text, empty if there is none.
        steps: what a worker does first, see ``steps_to_enter``; None where each has directories of its own.
        address_max: of a worker's address space; 0 while the template may still grow.
        settled: the interpreter is as a job finds it, see ``settle``.
        hot_pages: which memory drawing writes to, once that is known.
    """

    template_pid: int
    slots: Slots
    kernel_guard: KernelGuard
    guard: Guard
    cjk_family: str
    steps: Steps | None = None
    address_max: int = 0
    settled: bool = False
    hot_pages: HotPages | None = None


def steps_to_enter(setup: WorkerSetup, work_dir: str, temp_dir: str) -> Steps:
    """What a worker does first, which must still be the template's child then.

    Its inputs: the descriptors of its channel, of stdout and of stderr, that of its slot's mount, the numbers before and
    after that of its channel, and ``KernelGuard.address_max``.
    """
    steps = Steps(7)
    _, stdout, stderr, mount, below, above, address_bytes = steps.inputs
    # Not the template's: flags and locks live in the open file description, and that one is every worker's.
    nothing = steps.add_into_place("openat", calls.AT_FDCWD, os.devnull.encode(), os.O_RDONLY | os.O_CLOEXEC, 0)
    for target, source in enumerate((nothing, stdout, stderr)):
        steps.add("dup3", source, target, 0)
    setup.slots.add_enter(steps, mount)
    setup.kernel_guard.add_limits(steps, address_bytes)
    calls.die_with_parent(steps)  # after every change of credentials, which may clear it
    steps.add("getppid", expect=setup.template_pid, what="looking for the template, which died meanwhile")
    steps.add("setpgid", 0, 0)
    steps.add("rt_sigprocmask", signal.SIG_SETMASK, _NO_SIGNALS, None, _KERNEL_SIGSET_BYTES)
    steps.add("chdir", os.fsencode(work_dir))
    steps.add("umask", 0o077)
    setup.kernel_guard.add_last(steps, (work_dir, temp_dir), below, above)
    return steps


def settle(guard: Guard, work_dir: str, temp_dir: str) -> None:
    """Make the interpreter what a job finds: environment, streams, arguments, search path, policy.

    In the template, where the directories are called the same in every worker; else in each.
    """
    os.environ["HOME"] = work_dir
    for name in ("TMP", "TMPDIR", "TEMP"):
        os.environ[name] = temp_dir
    for name in [name for name in os.environ if name.startswith("WARMFORK_")]:
        del os.environ[name]
    tempfile.tempdir = None  # asked for again, from the environment above
    streams.replace_output()
    settle_for_code(guard, work_dir, temp_dir)


def warm_up(guard: Guard, slot: Slot) -> None:
    """In the template: what every worker runs, run until Python has specialized it and found its attributes.

    It writes what it learnt into code objects and caches, and a worker that learns it anew copies their pages.
    """
    randomness.prepare()
    for _ in range(_ROUNDS_TO_LEARN):
        randomness.reseed()
        dry_run(guard, slot)
    gc.collect()


def become_worker(setup: WorkerSetup, slot: Slot, fds: list[int]) -> NoReturn:
    """In the forked child: enter, wait, run one job, report, exit. Never returns.

    Args:
        setup: what the template prepared.
        slot: the worker's private directories.
        fds: the job channel, stdout and stderr, as they came with ``Fork``.
    """
    try:
        channel, stdout_fd, stderr_fd = fds
        if channel <= _STANDARD_FDS_MAX + 1:  # the steps close what is between
            channel = os.dup(channel)
        steps = setup.steps or steps_to_enter(setup, slot.work_dir, slot.temp_dir)
        address_max = setup.address_max or setup.kernel_guard.address_max()
        steps.run(channel, stdout_fd, stderr_fd, slot.mount_fd, channel - 1, channel + 1, address_max)
        randomness.reseed()
        if not setup.settled:
            settle(setup.guard, slot.work_dir, slot.temp_dir)
        dry_run(setup.guard, slot)
        os.write(channel, READY)
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

"""The forbidden acts that a real worker is made to try before its template's jobs are served.

One table. Each act is a line of Python that runs in a job with the Python-level policy off; the answer is the name of the
error it got, or ``done`` with what it returned. Answers are judged here, outside the worker.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from warmfork.wire import control
from warmfork_daemon.config import ALWAYS_REQUIRED

_THREADS_TRIED_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Probe:
    """One forbidden act.

    Attributes:
        name: what is tried.
        layer: of ``control.LAYERS``, which must refuse it.
        act: a Python expression.
        refusals: the answers that show the layer at work.
    """

    name: str
    layer: str
    act: str
    refusals: tuple[str, ...]


PROBES: Final = (
    Probe("fork a process", "seccomp", "os.fork() or os._exit(0)", ("EPERM",)),
    Probe("run a program", "seccomp", "os.execv('/bin/true', ['true'])", ("EPERM",)),
    Probe("clone3", "seccomp", "call(435, 0, 0)", ("ENOSYS",)),
    Probe("open a network socket", "seccomp", "socket.socket()", ("EPERM",)),
    Probe("open a Unix socket", "seccomp", "socket.socket(socket.AF_UNIX)", ("EPERM",)),
    Probe("signal its parent", "seccomp", "os.kill(os.getppid(), 0)", ("EPERM",)),
    Probe("trace a process", "seccomp", "call(PTRACE, 16, 0x7FFFFFFF, 0, 0)", ("EPERM",)),
    Probe("map memory as code", "seccomp", "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)", ("EPERM",)),
    Probe("make an anonymous file", "seccomp", "os.memfd_create('x')", ("EPERM",)),
    Probe("enter a user namespace", "seccomp", "call(UNSHARE, 0x10000000)", ("EPERM",)),
    Probe("link to another file", "seccomp", "os.symlink('/etc', 'link')", ("EPERM",)),
    Probe("list the root directory", "landlock", "os.listdir('/')", ("EACCES",)),
    Probe("write beside the interpreter", "landlock", "open(os.__file__ + '.x', 'w')", ("EACCES", "EROFS")),
    Probe("read another directory", "landlock", "os.listdir('/usr')", ("EACCES",)),
    Probe("see the host's accounts", "namespaces", "os.stat('/etc/shadow')", ("ENOENT",)),
    Probe("see the host's processes", "namespaces", "os.stat('/proc/self')", ("ENOENT",)),
    Probe("have another parent than the first process", "namespaces", "refuse(os.getppid() == 1)", ("held",)),
    Probe("run code from its directory", "namespaces", "refuse(os.statvfs('.').f_flag & os.ST_NOEXEC)", ("held",)),
    Probe(
        "fill the disk", "namespaces", "refuse(os.statvfs('.').f_blocks * os.statvfs('.').f_frsize <= DISK)", ("held",)
    ),
    Probe("start threads without end", "threads", "crowd()", ("RuntimeError", "EAGAIN", "held")),
    Probe("be root", "uid", "refuse(os.getuid() and os.getgid())", ("held",)),
)

_SETUP: Final = """
import ctypes, errno, json, mmap, os, platform, resource, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
UNSHARE, PTRACE = {"x86_64": (272, 101), "aarch64": (97, 117)}[platform.machine()]
def call(number, *arguments):
    if libc.syscall(number, *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")
class Held(Exception):
    pass
def refuse(right):
    if right:
        raise Held
def crowd():
    if THREADS > TRIED:
        refuse(resource.getrlimit(resource.RLIMIT_NPROC)[1] <= THREADS)
        return
    gate = threading.Event()
    started = []
    try:
        for _ in range(THREADS + 1):
            thread = threading.Thread(target=gate.wait, daemon=True)
            thread.start()
            started.append(thread)
    finally:
        gate.set()
        for thread in started:
            thread.join()
def answer(act):
    try:
        return "done " + repr(eval(act))[:100]
    except Held:
        return "held"
    except OSError as problem:
        return errno.errorcode.get(problem.errno, str(problem.errno))
    except BaseException as problem:
        return type(problem).__name__
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a probe.

    Attributes:
        probe: what was tried.
        answer: the error's name, ``held``, or ``done …``; ``not run`` where its layer is not active.
        held: the layer refused it; None where the layer is not active.
    """

    probe: Probe
    answer: str
    held: bool | None


def probe_code(disk_bytes: int, threads: int) -> str:
    """The job that tries all acts and prints one line of JSON.

    Args:
        disk_bytes: most that a job's directory may take.
        threads: most threads of a job.
    """
    acts = json.dumps([probe.act for probe in PROBES])
    numbers = f"DISK, THREADS, TRIED = {disk_bytes}, {threads}, {_THREADS_TRIED_MAX}\n"
    return f"{numbers}{_SETUP}\nprint(json.dumps([answer(act) for act in {acts}]))\n"


def read_answers(stdout: str, layers: Sequence[control.Layer]) -> list[Answer]:
    """The answers that the job printed. Raises ValueError when it did not print them all."""
    told = json.loads(stdout)
    if not isinstance(told, list) or len(told) != len(PROBES) or not all(isinstance(word, str) for word in told):
        raise ValueError(f"{len(PROBES)} answers were expected")
    active = {layer.name for layer in layers if layer.active}
    return [
        Answer(probe, word, word in probe.refusals if probe.layer in active else None)
        for probe, word in zip(PROBES, told, strict=True)
    ]


def problems_of(
    layers: Sequence[control.Layer], answers: Sequence[Answer], required: Sequence[str], *, unguarded: bool = False
) -> list[str]:
    """Why the daemon must not serve; empty when it may.

    Args:
        layers: as the template found them.
        answers: of the probes.
        required: layers that the operator demands, besides those that are always demanded.
        unguarded: the operator wants no guard at all.
    """
    if unguarded:
        return []
    demanded = dict.fromkeys((*ALWAYS_REQUIRED, *required))
    found = [
        f"the layer {layer.name} is required and not active: {layer.detail}"
        for layer in layers
        if layer.name in demanded and not layer.active
    ]
    return found + [
        f"the layer {answer.probe.layer} let a worker {answer.probe.name} (answer: {answer.answer})"
        for answer in answers
        if answer.held is False
    ]

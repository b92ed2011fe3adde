"""From the exec to the template: take the daemon's orders, find out which layers this machine has, enter them.

What can be entered is tried first in a child of its own, so that a machine that refuses one step in the middle never
leaves the template half way in.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from warmfork.wire import control
from warmfork_worker.kernel import calls, landlock, namespaces, proc
from warmfork_worker.kernel.host_trees import HostTrees, host_trees
from warmfork_worker.kernel.namespaces import Identity
from warmfork_worker.kernel.numbers import this_machine
from warmfork_worker.kernel.steps import Steps
from warmfork_worker.slots import DirectorySlots, MountedSlots, Slots

# Sent to a whole process group by terminals, timeout(1) and service managers. They are the daemon's business: a template
# that died of one beside its daemon would leave the slots to nobody.
GROUP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REASON_CHARS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class World:
    """Where a template stands once it has entered.

    Attributes:
        layers: of the kernel guard, in the order of ``control.LAYERS``.
        trees: what of the host can be read.
        slots: makes the workers' directories.
        identity: of workers, where each can have a user namespace of its own; else None.
        private: in namespaces of its own, which end with this process and all that is in them.
    """

    layers: tuple[control.Layer, ...]
    trees: HostTrees
    slots: Slots
    identity: Identity | None
    private: bool

    def active(self, name: str) -> bool:
        """Whether the layer of this name is."""
        return any(layer.active for layer in self.layers if layer.name == name)


def receive_start(control_fd: int) -> tuple[socket.socket, control.Start]:
    """The control socket and the daemon's first packet. Ends the process where there is no daemon any more."""
    link = socket.socket(fileno=control_fd)
    calls.die_with_parent()
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
    return link, start


def enter_world(start: control.Start) -> World:
    """Enter what this machine has and the daemon did not switch off. May return in another process than it was called in.

    Raises:
        OSError: a layer that worked in the trial did not work now, or the workers' uid cannot be taken.
    """
    trees = host_trees(start.font_dirs)
    as_root = os.geteuid() == 0
    identity = Identity(start.worker_uid, start.worker_gid) if as_root else Identity(os.geteuid(), os.getegid())
    off = set(control.LAYERS if start.unguarded else start.layers_off)
    problems = dict.fromkeys(off, "switched off")
    slots: Slots = DirectorySlots(start.slots_dir)
    if "namespaces" not in off:
        problems["namespaces"] = _trial(lambda: _try_namespaces(start, identity, trees))
    private = not problems.get("namespaces", "")
    if private:
        namespaces.enter(identity, trees, start.slots_dir)
        _use_scratch()
        slots = _mounted_slots(start, trees)
    elif as_root and "uid" not in off:
        _become_on_host(start, identity, trees)
    if "threads" not in off:
        problems["threads"] = _trial(lambda: namespaces.own_user_namespace(identity, nested=private))
    if "uid" not in off:
        problems["uid"] = "" if os.geteuid() else "workers run as root"
    problems.setdefault("landlock", _landlock_problem(landlock.abi(), private=private))
    problems.setdefault("seccomp", _trial(_try_seccomp))
    layers = tuple(_layer(name, problems.get(name, "")) for name in control.LAYERS)
    own = identity if not problems["threads"] else None
    return World(layers, trees, slots, own, private)


def _landlock_problem(version: int, *, private: bool) -> str:
    """Why Landlock of this version is not enough; empty when it is."""
    if not version:
        return "this kernel has no Landlock, or it is switched off"
    if version < landlock.TRUNCATE_SINCE and not private:
        return f"version {version} cannot refuse truncate(2), which matters where there is no private root"
    return ""


def _layer(name: str, problem: str) -> control.Layer:
    details = {
        "seccomp": f"{this_machine().name}, everything not on the list is EPERM",
        "landlock": f"version {landlock.abi()}",
        "namespaces": "private root, pids, network; the job directory is a tmpfs, noexec",
        "threads": "a user namespace for each worker",
        "uid": f"uid {os.geteuid()}",
    }
    return control.Layer(name, not problem, problem or details[name])


def _mounted_slots(start: control.Start, trees: HostTrees) -> MountedSlots:
    return MountedSlots(namespaces.job_places(trees), start.disk_bytes_max, start.job_files_max)


def _use_scratch() -> None:
    """The daemon's scratch directory stayed outside; what pointed to it points to the private one."""
    scratch = namespaces.SCRATCH_DIR
    os.environ.update(dict.fromkeys(("HOME", "TMP", "TMPDIR", "TEMP"), scratch))
    os.environ["MPLCONFIGDIR"] = os.path.join(scratch, "matplotlib")
    os.mkdir(os.environ["MPLCONFIGDIR"], 0o700)


def _become_on_host(start: control.Start, identity: Identity, trees: HostTrees) -> None:
    """Drop root where there is no private root: the directories must then be reachable on the host itself."""
    runtime_dir = os.path.dirname(start.slots_dir)
    os.chmod(runtime_dir, os.stat(runtime_dir).st_mode | 0o011)
    for path in (start.slots_dir, *(entry.path for entry in os.scandir(start.slots_dir))):
        os.chown(path, identity.uid, identity.gid)
    namespaces.become(identity)
    for path in (start.slots_dir, *trees.directories):
        if not os.access(path, os.R_OK | os.X_OK):
            raise OSError(f"uid {identity.uid} cannot read {path}; without namespaces it must be able to")


def _try_namespaces(start: control.Start, identity: Identity, trees: HostTrees) -> None:
    namespaces.enter(identity, trees, start.slots_dir)
    slots = _mounted_slots(start, trees)
    slot = slots.make("trial")
    steps = Steps(1)
    slots.add_enter(steps, *steps.inputs)
    steps.run(slot.mount_fd)
    with open(os.path.join(slot.work_dir, "trial"), "wb") as file:
        file.write(b"x")
    if os.listdir(slot.work_fd) != ["trial"]:
        raise OSError("the mounted slot is not the one that was made")


def _try_seccomp() -> None:
    calls.set_no_new_privileges()
    calls.install_filter(bytes.fromhex("06000000" + "0000ff7f"))  # one instruction: allow


def _trial(steps: Callable[[], None]) -> str:
    """Run ``steps`` in a child; empty when they passed, else why they did not.

    ``steps`` may return in a grandchild: what counts is what comes through the pipe before all its writers are gone.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _report_trial(steps, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer = told.read().decode("utf-8", "replace")
    os.waitpid(pid, 0)
    return "" if answer == "ok" else answer or "the trial ended without a word"


def _report_trial(steps: Callable[[], None], writing: int) -> NoReturn:
    answer = "ok"
    try:
        calls.die_with_parent()
        steps()
    except BaseException as problem:
        answer = f"{problem}"[:_REASON_CHARS_MAX] or type(problem).__name__
    os.write(writing, answer.encode())
    os._exit(0)


def send_failure(problem: BaseException) -> NoReturn:
    """Say on stderr, which is the daemon's, why there is no template."""
    sys.stderr.write(f"warmfork: the template could not enter its guard: {problem}\n")
    sys.stderr.flush()
    os._exit(1)


def own_pid() -> int:
    """This process's pid as the daemon sees it."""
    return proc.own_pid_outside()

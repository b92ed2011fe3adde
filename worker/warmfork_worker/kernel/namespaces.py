"""The template's own world: user, mount, pid, network, ipc and uts namespaces, and a root of read-only binds.

Entered once, before anything is imported, so that a library that cannot be read in there fails in the template and
not job by job. Started as root it ends as an unprivileged uid; either way CAP_SYS_ADMIN over its own namespaces is the
one capability kept, for the mounts of slots, and workers give that up too.

    parent (waits, dies with the daemon)  ->  pid 1 of the new pid namespace (the template)  ->  workers
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from typing import Final, NoReturn

from warmfork_worker.kernel import calls, proc
from warmfork_worker.kernel.host_trees import HostTrees
from warmfork_worker.kernel.steps import Steps

SCRATCH_DIR: Final = "/var/warmfork"
_WORK_PLACES: Final = ("/home/job", "/job", "/srv/job")
_TEMP_PLACES: Final = ("/tmp", "/var/tmp", "/srv/tmp")

_NAMESPACES: Final = (
    calls.CLONE_NEWNS | calls.CLONE_NEWPID | calls.CLONE_NEWNET | calls.CLONE_NEWIPC | calls.CLONE_NEWUTS
)
_READ_ONLY: Final = calls.MOUNT_ATTR_RDONLY | calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV
_DATA: Final = calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV | calls.MOUNT_ATTR_NOEXEC
DEVICES: Final = ("/dev/null", "/dev/urandom")
_HOST_NAME: Final = b"warmfork"
_SCRATCH_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """Who workers are outside: uid and gid."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where each job finds its directories in the private root."""

    work_dir: str
    temp_dir: str


def job_places(trees: HostTrees) -> Places:
    """The first names that hide none of the bound trees, which stand at their own paths."""
    bound = (*trees.directories, *trees.files)

    def free(candidates: tuple[str, ...]) -> str:
        return next(place for place in candidates if not any(path.startswith(place + "/") for path in (*bound, "")))

    return Places(free(_WORK_PLACES), free(_TEMP_PLACES))


def enter(identity: Identity, trees: HostTrees, mount_point: str) -> None:
    """Enter the namespaces. Returns in a new process, pid 1 of its namespace; this one waits for it and exits with it.

    Args:
        identity: who to be; our own effective ids when this process is not root.
        trees: what of the host to bind.
        mount_point: an existing directory to put the new root at until it is the root.

    Raises:
        OSError: a step was refused (in either process).
    """
    proc.keep_open()
    as_root = os.geteuid() == 0
    if as_root:
        calls.call("unshare", _NAMESPACES)
    else:
        _enter_user_namespace(identity, calls.CLONE_NEWUSER | _NAMESPACES)
    child = os.fork()
    if child:
        _stand_by(child)
    calls.die_with_parent()
    with contextlib.suppress(
        PermissionError
    ):  # systemd's ProtectHostname=; jobs then see the host's name, nothing else
        calls.set_host_name(_HOST_NAME)
    _build_root(identity, trees, mount_point)
    if as_root:
        become(identity)
        # A mount namespace of the new user namespace's own: there, and only there, is the kept capability worth anything.
        _enter_user_namespace(identity, calls.CLONE_NEWUSER | calls.CLONE_NEWNS)
    calls.drop_bounding_set()
    calls.keep_capabilities(calls.CAP_SYS_ADMIN)
    calls.die_with_parent()  # cleared by the change of uid


def become(identity: Identity) -> None:
    """Be that uid and gid for good, with no other group. Needs root."""
    os.setgroups([])
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    calls.set_dumpable(True)  # else our own /proc entries belong to root, the maps among them


def own_user_namespace(identity: Identity, *, nested: bool, later: Steps | None = None) -> None:
    """In a worker: a user namespace of its own, so that RLIMIT_NPROC counts this job's threads and no one else's.

    Args:
        identity: who this process is.
        nested: inside the template's user namespace, from which the refusal of setgroups(2) is inherited.
        later: add it to these steps instead.
    """
    steps = later or Steps()
    calls.set_dumpable(True, steps)
    steps.add("unshare", calls.CLONE_NEWUSER)
    if not nested:
        proc.write_own("setgroups", "deny", steps)
    _map(identity, steps)
    if later is None:
        steps.run()


def _enter_user_namespace(identity: Identity, flags: int) -> None:
    calls.call("unshare", flags)
    proc.write_own("setgroups", "deny")  # the kernel wants this before an unprivileged process may map a gid
    _map(identity)


def _map(identity: Identity, later: Steps | None = None) -> None:
    proc.write_own("uid_map", f"{identity.uid} {identity.uid} 1", later)
    proc.write_own("gid_map", f"{identity.gid} {identity.gid} 1", later)


def _stand_by(child: int) -> NoReturn:
    """Outside the pid namespace: hold on to nothing, end when the template ends, as it ended."""
    devnull = os.open("/dev/null", os.O_RDWR)
    limit = os.sysconf("SC_OPEN_MAX")
    os.dup2(devnull, 0)
    os.closerange(3, min(limit, 1 << 16))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _build_root(identity: Identity, trees: HostTrees, mount_point: str) -> None:
    calls.make_private()
    # Every source is taken by descriptor first: the new root may come to stand above one of them.
    sources = [(path, _bound(path, _READ_ONLY), True) for path in trees.directories]
    sources += [(path, _bound(path, _READ_ONLY), False) for path in trees.files]
    sources += [(path, _bound(path, calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NOEXEC), False) for path in DEVICES]
    root = calls.make_tmpfs(calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV, size="4m", mode="0755")
    calls.attach(root, mount_point)
    for path, fd, is_directory in sources:
        target = mount_point + path
        _make_place(target, is_directory)
        calls.attach(fd, target)
        os.close(fd)
    for path, leads_to in trees.links:
        _make_place(os.path.dirname(mount_point + path), True)
        os.symlink(leads_to, mount_point + path)
    places = job_places(trees)
    for directory in (places.work_dir, places.temp_dir, SCRATCH_DIR):
        _make_place(mount_point + directory, True)
    _write_accounts(identity, places.work_dir, mount_point)
    scratch = calls.make_tmpfs(
        _DATA, size=str(_SCRATCH_BYTES), mode="0700", uid=str(identity.uid), gid=str(identity.gid)
    )
    calls.attach(scratch, mount_point + SCRATCH_DIR)
    os.close(scratch)
    calls.set_mount_attributes(root, calls.MOUNT_ATTR_RDONLY, recursive=False)
    os.close(root)
    os.chdir(mount_point)
    calls.call("pivot_root", b".", b".")
    calls.detach(".")  # the old root, which the call above put on top of the new one
    os.chdir("/")


def _bound(path: str, attributes: int) -> int:
    fd = calls.clone_tree(path)
    calls.set_mount_attributes(fd, attributes)
    return fd


def _make_place(path: str, is_directory: bool) -> None:
    old = os.umask(0o022)
    try:
        os.makedirs(path if is_directory else os.path.dirname(path), mode=0o755, exist_ok=True)
        if not is_directory:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    finally:
        os.umask(old)


def _write_accounts(identity: Identity, home: str, root: str) -> None:
    """So that ``getpass.getuser()`` and ``pwd`` have an answer, and not the host's."""
    _make_place(root + "/etc", True)
    lines = {
        "passwd": f"job:x:{identity.uid}:{identity.gid}::{home}:/nonexistent\n",
        "group": f"job:x:{identity.gid}:\n",
    }
    for name, line in lines.items():
        with open(f"{root}/etc/{name}", "w", encoding="ascii") as file:
            file.write(line)
        os.chmod(f"{root}/etc/{name}", 0o644)

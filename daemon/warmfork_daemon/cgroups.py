"""A cgroup for each job, where the service manager delegates cgroup v2 to the daemon with its memory and pids controllers.

What the kernel counts there is all that a job holds: its copies of the template's pages, its files on a tmpfs, the kernel's
own memory on its behalf. So ``memory.max`` stands above the limit that RLIMIT_AS and the watcher enforce, and stops what
those two cannot see; ``memory.peak`` is the honest price of the job.

The tree, once the daemon has settled (no process may stand above a leaf)::

    warmfork.service/          delegated
        daemon/                the daemon, templates, workers that are not idle yet
        jobs/SLOT/             one worker, put there while it waits idle, for a move takes long

Everywhere else there are no such cgroups, nothing is moved, and the status says why.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from warmfork.wire import limits as wire
from warmfork_daemon.logs import told

if TYPE_CHECKING:
    from warmfork_daemon.worker import Worker

log = logging.getLogger("warmfork.cgroups")

CONTROLLERS: Final = ("memory", "pids")
_STEP_BYTES: Final = 16 * wire.MIB
"""Limits move in steps, so that the usual small input does not make each job's limit another."""
_DELEGATE_MARK: Final = "user.delegate"  # xattr of systemd 251 and later, readable by everyone


class NotDelegated(Exception):
    """No cgroup of ours to divide; the text says why."""


def own_cgroup(proc: Path = Path("/proc/self")) -> Path:
    """Directory of this process's cgroup v2. Raises NotDelegated where there is none to be seen."""
    try:
        lines = (proc / "cgroup").read_text().splitlines()
        mounts = (proc / "mountinfo").read_text().splitlines()
    except OSError as problem:
        raise NotDelegated(f"{problem.filename} cannot be read") from None
    name = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if name is None:
        raise NotDelegated("this machine has no cgroup v2")
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        if after.split(" ", 1)[0] == "cgroup2":
            _, _, _, root, point = before.split(" ")[:5]
            inside = os.path.relpath(name, root) if name.startswith(root) else name.lstrip("/")
            return Path(_unescaped(point), inside)
    raise NotDelegated("cgroup v2 is not mounted")


def _unescaped(field: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field


def check_delegated(cgroup: Path, uid: int, pid: int) -> None:
    """Raise NotDelegated unless ``cgroup`` is given to us alone, with the controllers that are needed."""
    try:
        owner = cgroup.stat().st_uid
        controllers = (cgroup / "cgroup.controllers").read_text().split()
        inhabitants = (cgroup / "cgroup.procs").read_text().split()
    except OSError as problem:
        raise NotDelegated(f"{problem.filename}: {problem.strerror}") from None
    # A root's own cgroup is writable too, without being given to it: there only the manager's mark counts.
    if not (_marked(cgroup) or (owner == uid != 0)):
        raise NotDelegated("the service manager did not delegate a cgroup (Delegate= of the unit)")
    missing = [name for name in CONTROLLERS if name not in controllers]
    if missing:
        raise NotDelegated(f"the delegated cgroup lacks the controllers {', '.join(missing)}")
    if inhabitants != [str(pid)]:
        raise NotDelegated("other processes live in the delegated cgroup")
    if not os.access(cgroup / "cgroup.procs", os.W_OK):
        raise NotDelegated("the delegated cgroup cannot be written (ProtectControlGroups= of the unit)")


def _marked(cgroup: Path) -> bool:
    try:
        return os.getxattr(cgroup, _DELEGATE_MARK) == b"1"
    except OSError:
        return False


def settle(cgroup: Path, pid: int) -> Path:
    """Move ``pid`` into a leaf and open the rest for jobs; the directory of their cgroups. Raises NotDelegated."""
    enable = " ".join(f"+{name}" for name in CONTROLLERS)
    leaf, jobs = cgroup / "daemon", cgroup / "jobs"
    try:
        leaf.mkdir(exist_ok=True)
        _write(leaf / "cgroup.procs", str(pid))
        _write(cgroup / "cgroup.subtree_control", enable)
        jobs.mkdir(exist_ok=True)
        _write(jobs / "cgroup.subtree_control", enable)
        for left in jobs.iterdir():
            if left.is_dir():
                left.rmdir()
    except OSError as problem:
        raise NotDelegated(f"the delegated cgroup could not be divided: {problem}") from None
    return jobs


def _write(path: Path, text: str) -> None:
    # One write(2) with no truncation and no buffer: these files take a whole value or an error.
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


class JobCgroup:
    """The cgroup of one worker. Raises OSError when it cannot be made or the worker cannot be put there.

    Args:
        path: to be made.
        pid: of the idle worker.
        allowance_bytes: what may be charged to it besides what a job asks for.
        memory_bytes: what a job asks for that names nothing.
        pids_max: threads of the worker, its first one included.
    """

    __slots__ = ("_allowance_bytes", "_memory_max", "path")

    def __init__(self, path: Path, pid: int, *, allowance_bytes: int, memory_bytes: int, pids_max: int) -> None:
        self.path = path
        self._allowance_bytes = allowance_bytes
        self._memory_max = 0
        path.mkdir()
        try:
            _write(path / "pids.max", str(pids_max))
            if (path / "memory.swap.max").exists():  # not where the kernel has no swap
                _write(path / "memory.swap.max", "0")
            self.limit(memory_bytes)
            _write(path / "cgroup.procs", str(pid))
        except OSError:
            self.remove()
            raise

    def limit(self, memory_bytes: int) -> None:
        """Set ``memory.max`` for a job with so much memory and input; nothing is written where it stands already."""
        steps = -(-(self._allowance_bytes + memory_bytes) // _STEP_BYTES)
        if steps * _STEP_BYTES != self._memory_max:
            _write(self.path / "memory.max", str(steps * _STEP_BYTES))
            self._memory_max = steps * _STEP_BYTES

    def peak_bytes(self) -> int:
        """The most that was charged to it; 0 where the kernel (before 5.19) does not say."""
        try:
            return int((self.path / "memory.peak").read_bytes())
        except (OSError, ValueError):
            return 0

    def oom_killed(self) -> bool:
        """Whether the kernel killed in here because ``memory.max`` was reached."""
        with contextlib.suppress(OSError, ValueError):
            for line in (self.path / "memory.events").read_bytes().splitlines():
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1]) > 0
        return False

    def remove(self) -> bool:
        """Remove it; False while a process in it is still dying."""
        try:
            self.path.rmdir()
        except OSError as problem:
            return problem.errno == errno.ENOENT
        return True


class JobCgroups:
    """All jobs' cgroups, or none.

    Args:
        jobs_dir: where they are made; None where there is no delegation.
        detail: what the status says.
    """

    def __init__(self, jobs_dir: Path | None, detail: str) -> None:
        self._jobs_dir = jobs_dir
        self._detail = detail
        self._failed = 0
        self._last_problem = ""
        self._dying: list[JobCgroup] = []

    @classmethod
    def enter(cls, *, wanted: bool = True, proc: Path = Path("/proc/self"), pid: int = 0, uid: int = -1) -> JobCgroups:
        """Settle in the cgroup that was delegated to this process, before it has children. Never raises.

        Args:
            wanted: False leaves everything as it is.
            proc, pid, uid: of this process.
        """
        if not wanted:
            return cls(None, "switched off (service.job_cgroups)")
        pid, uid = pid or os.getpid(), os.geteuid() if uid < 0 else uid
        try:
            cgroup = own_cgroup(proc)
            check_delegated(cgroup, uid, pid)
            return cls(settle(cgroup, pid), str(cgroup))
        except NotDelegated as reason:
            return cls(None, str(reason))

    def status(self) -> dict[str, Any]:
        """For the daemon's status: ``active``, ``detail`` (the path, or why there are none), ``failed`` placements."""
        return {
            "active": self._jobs_dir is not None,
            "detail": self._detail,
            "failed": self._failed,
            "last_problem": self._last_problem,
        }

    def place(self, worker: Worker, *, memory_bytes: int, disk_bytes: int, threads_max: int) -> None:
        """Put an idle worker into a cgroup of its own; without one it serves as it does where there is no delegation.

        Args:
            worker: measured, without a job.
            memory_bytes: of a job that names nothing.
            disk_bytes: that a job's files may take, which are in memory where its slot is a tmpfs.
            threads_max: of a job.
        """
        if self._jobs_dir is None:
            return
        try:
            worker.cgroup = JobCgroup(
                self._jobs_dir / worker.slot,
                worker.pid,
                # A page of the template that the job writes to is copied, and charged, but adds nothing to its RSS.
                allowance_bytes=worker.baseline_rss_bytes + disk_bytes,
                memory_bytes=memory_bytes,
                pids_max=threads_max,
            )
        except OSError as problem:
            self._failed += 1
            self._last_problem = str(problem)
            if self._failed == 1:
                log.warning("no cgroup for a worker; told once, counted in the status", extra=told(problem=problem))

    def remove(self, worker: Worker) -> None:
        """Remove the cgroup of a worker that is gone, with those that could not be removed before."""
        if worker.cgroup is not None:
            self._dying.append(worker.cgroup)
            worker.cgroup = None
            # Where the template died under its workers, nobody has reaped them yet.
            self._dying = [one for one in self._dying if not one.remove()]

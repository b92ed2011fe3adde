"""Cgroups of jobs: found, refused with a reason, divided, and limited, on a tree of files that behaves like the kernel's."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from warmfork_daemon import cgroups
from warmfork_daemon.cgroups import JobCgroup, JobCgroups, NotDelegated, check_delegated, own_cgroup, settle

MIB = 1 << 20
PID = 4321
UID = 1234
MOUNTS = "22 1 0:20 / /proc rw - proc proc rw\n30 23 0:26 {root} {point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


class Kernel:
    """A cgroup v2 file system below a directory: new directories come with their files, inhabited ones cannot be removed."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.writes: list[tuple[str, str]] = []
        real_mkdir, real_write = Path.mkdir, cgroups._write
        real_mkdir(root, parents=True)
        self._fill(root)

        def mkdir(path: Path, *rest: Any, **more: Any) -> None:
            fresh = not path.exists()
            real_mkdir(path, *rest, **more)
            if fresh and root in path.parents:
                self._fill(path)

        def rmdir(path: Path) -> None:
            if not path.exists():
                raise OSError(errno.ENOENT, "gone")
            if (path / "cgroup.procs").read_text():
                raise OSError(errno.EBUSY, "busy")
            shutil.rmtree(path)

        def write(path: Path, text: str) -> None:
            self.writes.append((str(path.relative_to(root)), text))
            real_write(path, text)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(Path, "rmdir", rmdir)
        monkeypatch.setattr(cgroups, "_write", write)

    def _fill(self, path: Path) -> None:
        for name in ("cgroup.procs", "cgroup.subtree_control", "memory.max", "memory.swap.max", "pids.max"):
            (path / name).write_text("")
        (path / "cgroup.controllers").write_text("cpu memory pids\n")
        (path / "memory.peak").write_text("0\n")
        (path / "memory.events").write_text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path / "cgroup", monkeypatch)


@pytest.fixture
def proc(tmp_path: Path, kernel: Kernel) -> Path:
    """``/proc/self`` of a daemon alone in ``system.slice/warmfork.service``."""
    service = kernel.root / "system.slice" / "warmfork.service"
    service.mkdir(parents=True)
    (service / "cgroup.procs").write_text(f"{PID}\n")
    path = tmp_path / "proc"
    path.mkdir()
    (path / "cgroup").write_text("1:name=systemd:/elsewhere\n0::/system.slice/warmfork.service\n")
    (path / "mountinfo").write_text(MOUNTS.format(root="/", point=kernel.root))
    return path


def service_of(kernel: Kernel) -> Path:
    return kernel.root / "system.slice" / "warmfork.service"


def owned(path: Path) -> int:
    """The uid that a test's files belong to, made to look like a user's where that is root."""
    return path.stat().st_uid


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which cgroups carry systemd's mark; a temporary directory may not take extended attributes."""
    paths: list[Path] = []
    monkeypatch.setattr(cgroups, "_marked", lambda path: path in paths)
    return paths


def test_our_own_cgroup(proc: Path, kernel: Kernel) -> None:
    """It is where cgroup v2 is mounted, by the line of /proc/self/cgroup that begins with 0."""
    assert service_of(kernel) == own_cgroup(proc)


def test_in_a_cgroup_namespace_of_a_container(proc: Path, kernel: Kernel) -> None:
    """Where the mount shows a part of the tree, the path is taken from there on; blanks in a mount point are escaped."""
    (proc / "cgroup").write_text("0::/docker/ab/init.scope\n")
    (proc / "mountinfo").write_text(MOUNTS.format(root="/docker/ab", point="/some\\040where"))
    assert Path("/some where/init.scope") == own_cgroup(proc)


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "reason"),
    [
        ("4:memory:/x\n", MOUNTS, "no cgroup v2"),
        ("0::/x\n", "22 1 0:20 / /proc rw - proc proc rw\n", "not mounted"),
        ("0::/x\n", None, "cannot be read"),
    ],
)
def test_no_cgroup_of_ours(tmp_path: Path, cgroup: str, mountinfo: str | None, reason: str) -> None:
    """Without cgroup v2, or without its mount, the reason is told."""
    (tmp_path / "cgroup").write_text(cgroup)
    if mountinfo is not None:
        (tmp_path / "mountinfo").write_text(mountinfo)
    with pytest.raises(NotDelegated, match=reason):
        own_cgroup(tmp_path)


def test_what_is_delegated(proc: Path, kernel: Kernel, marked: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager's mark, or a cgroup that belongs to us and not to root; nothing else."""
    service = service_of(kernel)
    with pytest.raises(NotDelegated, match="did not delegate"):
        check_delegated(service, owned(service) + 1, PID)
    marked.append(service)
    check_delegated(service, owned(service) + 1, PID)
    marked.clear()
    real_stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **more: SimpleNamespace(st_uid=UID, st_mode=real_stat(path).st_mode))
    check_delegated(service, UID, PID)


def test_roots_own_cgroup_is_not_delegated(proc: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that root started in a shell owns its cgroup, and must not divide what it was not given."""
    monkeypatch.setattr(Path, "stat", lambda path, **more: SimpleNamespace(st_uid=0))
    with pytest.raises(NotDelegated, match="did not delegate"):
        check_delegated(service_of(kernel), 0, PID)


def test_controllers_must_be_there(proc: Path, kernel: Kernel, marked: list[Path]) -> None:
    """A hybrid machine delegates a cgroup v2 without controllers."""
    marked.append(service_of(kernel))
    (service_of(kernel) / "cgroup.controllers").write_text("cpu pids\n")
    with pytest.raises(NotDelegated, match="lacks the controllers memory"):
        check_delegated(service_of(kernel), UID, PID)


@pytest.mark.parametrize("inhabitants", ["4321\n99\n", "99\n", ""])
def test_nobody_else_may_live_there(proc: Path, kernel: Kernel, marked: list[Path], inhabitants: str) -> None:
    """Where another process, or not ours, is in the cgroup, it is left as it is."""
    marked.append(service_of(kernel))
    (service_of(kernel) / "cgroup.procs").write_text(inhabitants)
    with pytest.raises(NotDelegated, match="other processes"):
        check_delegated(service_of(kernel), UID, PID)


def test_settling(proc: Path, kernel: Kernel) -> None:
    """The daemon moves into a leaf before the controllers are opened, and what a dead daemon left is removed."""
    service = service_of(kernel)
    (service / "jobs" / "0ld").mkdir(parents=True)
    kernel.writes.clear()
    assert service / "jobs" == settle(service, PID)
    below = "system.slice/warmfork.service"
    expected = [
        (f"{below}/daemon/cgroup.procs", str(PID)),
        (f"{below}/cgroup.subtree_control", "+memory +pids"),
        (f"{below}/jobs/cgroup.subtree_control", "+memory +pids"),
    ]
    assert expected == kernel.writes
    assert not (service / "jobs" / "0ld").exists()


def test_entering(proc: Path, kernel: Kernel, marked: list[Path]) -> None:
    """A delegated daemon has cgroups for jobs; the status names the place."""
    marked.append(service_of(kernel))
    status = JobCgroups.enter(proc=proc, pid=PID, uid=UID).status()
    assert {"active": True, "detail": str(service_of(kernel)), "failed": 0, "last_problem": ""} == status


def test_entering_where_nothing_is_delegated(proc: Path, kernel: Kernel) -> None:
    """Nothing is written or moved, and the status says why."""
    kernel.writes.clear()
    status = JobCgroups.enter(proc=proc, pid=PID, uid=UID + 1_000_000).status()
    assert (False, True) == (status["active"], "did not delegate" in status["detail"])
    assert [] == kernel.writes


def test_switched_off(proc: Path, kernel: Kernel, marked: list[Path]) -> None:
    """service.job_cgroups = false leaves a delegated cgroup alone."""
    marked.append(service_of(kernel))
    kernel.writes.clear()
    assert "switched off" in JobCgroups.enter(wanted=False, proc=proc, pid=PID, uid=UID).status()["detail"]
    assert [] == kernel.writes


def test_a_cgroup_that_cannot_be_divided(
    proc: Path, kernel: Kernel, marked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the kernel becomes the reason in the status, never the end of the daemon."""
    marked.append(service_of(kernel))

    def refuse(path: Path, text: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cgroups, "_write", refuse)
    status = JobCgroups.enter(proc=proc, pid=PID, uid=UID).status()
    assert (False, True) == (status["active"], "could not be divided" in status["detail"])


def job_cgroup(kernel: Kernel) -> JobCgroup:
    return JobCgroup(kernel.root / "w", 77, allowance_bytes=100 * MIB, memory_bytes=1024 * MIB, pids_max=64)


def test_the_limits_stand_before_the_worker_is_there(kernel: Kernel) -> None:
    """pids, swap and memory are limited first; then the worker is moved in."""
    job_cgroup(kernel)
    steps = -(-1124 // 16) * 16 * MIB
    expected = [
        ("w/pids.max", "64"),
        ("w/memory.swap.max", "0"),
        ("w/memory.max", str(steps)),
        ("w/cgroup.procs", "77"),
    ]
    assert expected == kernel.writes


def test_a_limit_is_written_only_when_it_differs(kernel: Kernel) -> None:
    """The default with a small input costs no write at dispatch; another limit costs one, and never lowers the promise."""
    made = job_cgroup(kernel)
    kernel.writes.clear()
    made.limit(1024 * MIB + 10_000)
    assert [] == kernel.writes
    made.limit(256 * MIB)
    made.limit(256 * MIB)
    ((name, value),) = kernel.writes
    assert "w/memory.max" == name
    assert 356 * MIB <= int(value) < 356 * MIB + 16 * MIB


def test_a_worker_that_cannot_be_moved_leaves_no_cgroup(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the move fails, the directory is removed again."""
    real = cgroups._write

    def refuse(path: Path, text: str) -> None:
        if path.name == "cgroup.procs":
            raise OSError(errno.ESRCH, "No such process")
        real(path, text)

    monkeypatch.setattr(cgroups, "_write", refuse)
    with pytest.raises(OSError, match="No such process"):
        job_cgroup(kernel)
    assert not (kernel.root / "w").exists()


def test_what_the_kernel_counted(kernel: Kernel) -> None:
    """Peak and kills are the kernel's; an older kernel without memory.peak is no error."""
    made = job_cgroup(kernel)
    (made.path / "memory.peak").write_text("4096\n")
    assert (4096, False) == (made.peak_bytes(), made.oom_killed())
    (made.path / "memory.events").write_text("oom 1\noom_kill 1\n")
    (made.path / "memory.peak").unlink()
    assert (0, True) == (made.peak_bytes(), made.oom_killed())


def worker(slot: str) -> Any:
    return cast(Any, SimpleNamespace(slot=slot, pid=77, baseline_rss_bytes=60 * MIB, cgroup=None))


def test_a_worker_gets_one_and_gives_it_back(kernel: Kernel) -> None:
    """The idle worker's cgroup has room for its pages, a job's memory and its files; a dying one is removed later."""
    all_of_them = JobCgroups(kernel.root, "here")
    first, second = worker("aa"), worker("bb")
    for one in (first, second):
        all_of_them.place(one, memory_bytes=1024 * MIB, disk_bytes=256 * MIB, threads_max=64)
    assert str(-(-1340 // 16) * 16 * MIB) == (kernel.root / "aa" / "memory.max").read_text()
    all_of_them.remove(first)
    assert (True, None) == ((kernel.root / "aa").exists(), first.cgroup)
    for name in ("aa", "bb"):
        (kernel.root / name / "cgroup.procs").write_text("")
    all_of_them.remove(second)
    assert [] == [path for path in kernel.root.iterdir() if path.is_dir()]
    all_of_them.remove(second)


def test_a_failed_placement_is_counted(kernel: Kernel) -> None:
    """A worker without a cgroup serves all the same; the status counts it and says why."""
    all_of_them = JobCgroups(kernel.root / "missing", "here")
    lonely = worker("aa")
    all_of_them.place(lonely, memory_bytes=MIB, disk_bytes=MIB, threads_max=1)
    status = all_of_them.status()
    assert (None, 1, True) == (lonely.cgroup, status["failed"], "missing" in status["last_problem"])


def test_without_delegation_nothing_happens(tmp_path: Path) -> None:
    """No cgroup is made where there is no place for them."""
    lonely = worker("aa")
    nowhere = JobCgroups(None, "why")
    nowhere.place(lonely, memory_bytes=MIB, disk_bytes=MIB, threads_max=1)
    nowhere.remove(lonely)
    assert lonely.cgroup is None
    assert os.listdir(tmp_path) == []

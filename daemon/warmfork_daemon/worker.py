"""One worker as the daemon sees it: channel, pipes, pidfd, baseline, and at most one job.

Nothing that comes from it is trusted once it has its job. Every kill sets its reason before the signal is sent, so
that a channel that ends is always put down to the right cause.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import itertools
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from warmfork.wire import stream
from warmfork.wire.jobs import JobReport
from warmfork_daemon import descriptors
from warmfork_daemon.cgroups import JobCgroup
from warmfork_daemon.job import Job
from warmfork_daemon.lifecycle import WORKER, JobEvent, WorkerEvent, step
from warmfork_daemon.lifecycle import WorkerState as State
from warmfork_daemon.output import DrainedPipe
from warmfork_daemon.reactor import Timer
from warmfork_daemon.resident import Resident, open_status, read_resident
from warmfork_daemon.streaming import JobStream

_PIPE_BYTES: Final = 256 * 1024
_F_SETPIPE_SZ: Final = 1031  # <linux/fcntl.h>
_WRITE_PIECES: Final = 64
_LAST_WORDS_CHARS: Final = 2_000
_INFO_BYTES: Final = 4_096


class KillReason(enum.Enum):
    """Why the daemon killed a busy worker."""

    TIMEOUT = "timeout"
    MEMORY = "memory"
    CANCELLED = "cancelled"
    DISK = "disk"
    BAD_REPORT = "bad report"
    STOPPING = "stopping"


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process, from the request to fork it until it is reaped."""

    worker_id: int
    slot: str
    channel: socket.socket
    stdout: DrainedPipe
    stderr: DrainedPipe
    state: State = State.FORKING
    pid: int = 0
    pidfd: int = -1
    work_fd: int = -1
    status_fd: int = -1
    heap_bytes: int = 0
    baseline_rss_bytes: int = 0
    baseline_address_bytes: int = 0
    empty_dir_bytes: int = 0
    idle: Resident = Resident()  # noqa: RUF009
    job: Job | None = None
    kill_reason: KillReason | None = None
    kill_detail: str = ""
    assembler: stream.MessageAssembler | None = None
    report: JobReport | None = None
    reported_s: float = 0.0
    unsent: deque[memoryview] = field(default_factory=deque)
    deaf: bool = False  # it has closed its end with some of that unread
    deadline: Timer | None = None
    cpu_at_dispatch_s: float = 0.0
    cpu_s: float = 0.0
    peak_charge_bytes: int = 0
    status: int | None = None
    slot_path: str = ""
    left_nothing: bool = False
    streaming: JobStream | None = None
    disk_looked_s: float = 0.0
    made_s: float = field(default_factory=time.monotonic)
    asked_s: float = 0.0
    stepped_s: float = 0.0  # when its state changed last
    cold: bool = False  # forked before its template had rehearsed
    cgroup_peak_bytes: int = 0
    unseen_since_s: float = 0.0
    cgroup: JobCgroup | None = None

    def measure_baseline(self, slot_path: str) -> None:
        """Remember what the idle worker has, which a job's limits stand on. Raises OSError when it is gone.

        Args:
            slot_path: of its directories; empty where they are a tmpfs of their own.
        """
        self.slot_path = slot_path
        # 0 where it does not count its entries, as a ramfs that stands in for a tmpfs: then they are looked for.
        self.empty_dir_bytes = 0 if slot_path else os.fstat(self.work_fd).st_size
        if self.status_fd < 0:
            self.status_fd = open_status(self.pid)
            descriptors.refuse_reserved([self.status_fd])
        self.cpu_at_dispatch_s = self.read_cpu_s()  # it waits from now on, and uses none
        idle = read_resident(self.status_fd)
        if idle is None:
            raise ProcessLookupError(f"process {self.pid} has no memory any more")
        self.idle = idle
        self.baseline_rss_bytes, self.baseline_address_bytes = idle.resident + self.heap_bytes, idle.mapped

    def advance(self, event: WorkerEvent) -> None:
        """Take the step that the table has for this event. Raises ImpossibleStep."""
        self.state = step(WORKER, self.state, event)
        self.stepped_s = time.monotonic()

    def alive(self) -> bool:
        """False once the process has ended, reaped or not."""
        return not self.wait_for_end(0.0)

    def wait_for_end(self, timeout_s: float) -> bool:
        """True once the process has ended, reaped or not; False when it has not in time."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def address_limit_bytes(self, job: Job) -> int:
        """Address space that this job may have here: the limit that the kernel itself enforces at once.

        RLIMIT_AS and not RLIMIT_DATA, because it counts shared anonymous mappings too.
        """
        return self.baseline_address_bytes + job.input_bytes + job.memory_bytes

    def read_cpu_s(self) -> float:
        """CPU seconds of the process so far, also of a zombie; 0 once it is reaped.

        The clock's number is the kernel's for "process CPU time of pid" (clock_getcpuclockid(3)).
        """
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0

    def read_peak(self) -> None:
        """Take the kernel's own high-water mark into account, if the process can still be asked."""
        try:
            resident = read_resident(self.status_fd)
        except OSError:
            return
        if resident is not None:
            self.peak_charge_bytes = max(self.peak_charge_bytes, resident.peak_charge(self.idle, self.heap_bytes))

    def read_cgroup_peak(self) -> None:
        """Take what the kernel charged to the worker's cgroup into account; it can be asked until that is removed."""
        if self.cgroup is not None:
            self.cgroup_peak_bytes = self.cgroup.peak_bytes()

    def oom_killed(self) -> bool:
        """Whether the kernel killed it at the limit of its cgroup."""
        return self.cgroup is not None and self.cgroup.oom_killed()

    def sample(self) -> int | None:
        """Resident bytes that are its job's right now; 0 when it cannot be asked any more.

        None when the process lives and has none: its first thread has ended, and what the others use is not to be seen.
        """
        try:
            resident = read_resident(self.status_fd)
        except OSError:
            return 0
        if resident is None:
            return None if self.alive() else 0
        charge = resident.charge(self.idle, self.heap_bytes)
        self.peak_charge_bytes = max(self.peak_charge_bytes, charge)
        return charge

    @property
    def peak_memory_bytes(self) -> int:
        """Most resident memory of its job that was seen, or what its cgroup was charged, if that is more."""
        return max(self.peak_charge_bytes, self.cgroup_peak_bytes)

    def send(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Queue bytes for the channel; ``flush`` moves them."""
        self.unsent.extend([memoryview(piece) for piece in pieces if len(piece)])

    def flush(self) -> bool:
        """Write what the channel takes. True when nothing is left. A dead peer swallows the rest."""
        while self.unsent:
            pieces = list(itertools.islice(self.unsent, _WRITE_PIECES))
            try:
                written = os.writev(self.channel.fileno(), pieces)
            except BlockingIOError:
                return False
            except (BrokenPipeError, ConnectionResetError):
                self.deaf = True
                self.unsent.clear()
                return True
            while self.unsent and written >= len(self.unsent[0]):
                written -= len(self.unsent.popleft())
            if written:
                self.unsent[0] = self.unsent[0][written:]
        return True

    def drain(self) -> None:
        """Read what stdout and stderr hold."""
        self.stdout.drain()
        self.stderr.drain()

    def last_words(self) -> str:
        """What it wrote to stderr, or the end of that."""
        self.drain()
        return self.stderr.output.text().head.decode("utf-8", "replace").strip()[-_LAST_WORDS_CHARS:]

    def kill(self, reason: KillReason | None = None, detail: str = "") -> None:
        """SIGKILL through the pidfd, so never to a stranger that got the same pid."""
        if reason is not None and self.kill_reason is None:
            self.kill_reason, self.kill_detail = reason, detail
            if self.job is not None:
                self.job.advance(JobEvent.KILL)
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Close every descriptor that is ours; what the pipes kept stays readable."""
        self.channel.close()
        self.stdout.close()
        self.stderr.close()
        for fd in (self.pidfd, self.work_fd, self.status_fd):
            if fd >= 0:
                os.close(fd)
        self.pidfd = self.work_fd = self.status_fd = -1


def pid_of(pidfd: int) -> int:
    """The pid, as this process sees it, of a pidfd from another pid namespace; 0 once the process is gone.

    -1 where it cannot be looked up, for lack of descriptors say.
    """
    try:
        info = os.open(f"/proc/self/fdinfo/{pidfd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(info, _INFO_BYTES)
        finally:
            os.close(info)
    except OSError:
        return -1
    _, found, after = text.partition(b"\nPid:")
    return max(0, int(after.split(None, 1)[0])) if found else 0


def make_worker(worker_id: int, slot: str, stdout_bytes: int, stderr_bytes: int) -> tuple[Worker, list[int]]:
    """A worker record with its ends of channel and pipes, and the three descriptors for the process itself.

    Raises OSError when the daemon has no descriptors left.
    """
    opened: list[int] = []
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        channel_fd = ours.detach()
        opened += [channel_fd, theirs.detach()]
        for _ in range(2):
            opened += os.pipe2(os.O_CLOEXEC)
        for fd in (channel_fd, opened[2], opened[4]):
            os.set_blocking(fd, False)
        descriptors.refuse_reserved(opened)
    except OSError:
        for fd in opened:
            os.close(fd)
        raise
    for fd in (opened[2], opened[4]):
        with contextlib.suppress(PermissionError):  # past the user's share of pipe memory the default size must do
            fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    worker = Worker(
        worker_id,
        slot,
        socket.socket(fileno=channel_fd),
        DrainedPipe(opened[2], stdout_bytes),
        DrainedPipe(opened[4], stderr_bytes),
    )
    return worker, [opened[1], opened[3], opened[5]]

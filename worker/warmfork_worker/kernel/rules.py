"""Which system calls a worker may make: the table that the filter is compiled from. Everything else is EPERM.

Calls measured over six groups of chart jobs, then those that other libc paths and kernels take for the same acts
(GUARD.md). Argument numbers count from 0. Only the low half of an argument is compared where the kernel itself takes an
int; a pointer is compared whole.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Final

_PROT_WRITE: Final = 0x2
_PROT_EXEC: Final = 0x4
_MAP_ANONYMOUS: Final = 0x20
_MAP_HUGETLB: Final = 0x40000
_CLONE_WHOLE_THREAD: Final = (
    0x10F00  # CLONE_VM, FS, FILES, SIGHAND, THREAD: what a thread shares, descriptors above all
)
_CLONE_REFUSED: Final = 0x3000  # CLONE_PIDFD, CLONE_PTRACE
_CLONE_NEW_ANY: Final = 0x7E020080  # every CLONE_NEW* bit
PIDFD_SELF: Final = -10_000
"""PIDFD_SELF_THREAD of <linux/pidfd.h>, since Linux 6.14: the caller, without a descriptor of it."""
_PR_SET_NAME: Final = 15
_PR_GET_NAME: Final = 16
_TERMINAL_QUERIES: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what Python asks of a descriptor."""
_SOCKET_OPTIONS: Final = (3, 4, 38, 39)
"""SO_TYPE, SO_ERROR, SO_PROTOCOL, SO_DOMAIN."""
_FCNTL_COMMANDS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW (sqlite3), F_DUPFD_CLOEXEC."""


@dataclass(frozen=True, slots=True)
class Check:
    """One look at an argument.

    Attributes:
        argument: its number.
        mask: bits that are looked at.
        values: what they may be.
        whole: compare both halves (the value must then be 0).
    """

    argument: int
    mask: int
    values: tuple[int, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of some system calls.

    Attributes:
        names: the calls.
        reason: why.
        errno: answer without doing anything: 0 is a success that nothing was done for; None lets the call through.
        ways: where given, the call passes only when every check of one of these groups holds, else EPERM.
    """

    names: tuple[str, ...]
    reason: str
    errno: int | None = None
    ways: tuple[tuple[Check, ...], ...] = ()


def _rule(names: str, reason: str, *ways: tuple[Check, ...], answer: int | None = None) -> Rule:
    return Rule(tuple(names.split()), reason, answer, ways)


_NO_EXEC: Final = (Check(2, _PROT_EXEC, (0,)),)
# Huge pages come from a pool of the host's, and no limit of a job counts them.
_PLAIN_PAGES: Final = Check(3, _MAP_HUGETLB, (0,))
_DATA_MAP: Final = (*_NO_EXEC, _PLAIN_PAGES)
_FILE_EXEC: Final = (
    Check(2, _PROT_EXEC | _PROT_WRITE, (_PROT_EXEC,)), Check(3, _MAP_ANONYMOUS | _MAP_HUGETLB, (0,)),
)  # fmt: skip

_COMMON: Final = (
    _rule("read write readv writev pread64 pwrite64 preadv pwritev lseek sendfile copy_file_range", "data of open files"),
    _rule("openat open close close_range", "files; which ones is Landlock's word"),
    _rule("newfstatat fstat stat lstat statx access faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd "
          "statfs fstatfs", "looking at files; Landlock does not judge these, the private root does"),
    _rule("mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir truncate ftruncate chdir fchdir umask",
          "the job's own tree; Landlock refuses any other"),
    _rule("fsync fdatasync sync_file_range fallocate fadvise64 flock", "databases and big files in the job's own tree"),
    _rule("dup dup2 dup3 pipe pipe2 eventfd2 epoll_create1 epoll_ctl epoll_wait epoll_pwait poll ppoll select pselect6",
          "event loops inside the process"),
    _rule("sendto", "send on a socket pair (asyncio wakes itself so); never with an address",
          (Check(4, 0xFFFFFFFF, (0,), True),)),
    _rule("recvfrom shutdown getsockname", "the other half of socket pairs; no other socket can be made"),
    _rule("getsockopt", "what kind of socket it is; nothing of who is at the other end",
          (Check(1, 0xFFFFFFFF, (int(socket.SOL_SOCKET),)), Check(2, 0xFFFFFFFF, _SOCKET_OPTIONS))),
    _rule("munmap brk madvise mbind msync mremap get_mempolicy set_mempolicy membarrier", "memory of this process"),
    _rule("process_madvise", "its own pages, many ranges at a time; another process cannot be named",
          (Check(0, 0xFFFFFFFF, (PIDFD_SELF & 0xFFFFFFFF,)),)),
    _rule("mprotect", "data pages; nothing may become code", _NO_EXEC),
    _rule("futex gettid set_robust_list rseq set_tid_address sched_yield getcpu exit", "threads"),
    _rule("sched_getaffinity", "its own processors; of another process it would tell that there is one",
          (Check(0, 0xFFFFFFFF, (0,)),)),
    _rule("clone", "threads of this process and nothing else: no fork, no namespace",
          (Check(0, _CLONE_WHOLE_THREAD | _CLONE_REFUSED | _CLONE_NEW_ANY, (_CLONE_WHOLE_THREAD,)),)),
    _rule("rt_sigprocmask rt_sigaction rt_sigreturn rt_sigpending sigaltstack restart_syscall", "its own signal handlers"),
    _rule("getpid getppid getuid geteuid getgid getegid getgroups getresuid getresgid getpgrp uname sysinfo getrusage times "
          "getrlimit", "questions about itself; sysinfo tells the machine's load and memory as well"),
    _rule("nanosleep gettimeofday time getrandom", "time and randomness"),
    _rule("clock_gettime clock_getres clock_nanosleep", "the system's clocks and its own; a negative one is another process's",
          (Check(0, 0xFFFFFFF0, (0,)),)),
    _rule("exit_group", "its end"),
    _rule("ioctl", "what Python asks of a descriptor", (Check(1, 0xFFFFFFFF, _TERMINAL_QUERIES),)),
    _rule("fcntl", "descriptor flags and record locks; no signals, leases, seals or pipe sizes",
          (Check(1, 0xFFFFFFFF, _FCNTL_COMMANDS),)),
    _rule("socketpair", "asyncio's own wake-up", (Check(0, 0xFFFFFFFF, (int(socket.AF_UNIX),)),)),
    _rule("prctl", "thread names", (Check(0, 0xFFFFFFFF, (_PR_SET_NAME, _PR_GET_NAME)),)),
    _rule("prlimit64", "its own limits, which it can only lower: the hard ones need a capability to be raised",
          (Check(0, 0xFFFFFFFF, (0,)),)),
    _rule("clone3", "its flags are behind a pointer, which no filter can read; libc falls back to clone", answer=errno.ENOSYS),
    _rule("chmod fchmod fchmodat fchmodat2 utimensat utime utimes futimesat",
          "Landlock does not cover these; a success that does nothing keeps shutil.copy working", answer=0),
    _rule("listxattr llistxattr flistxattr getxattr lgetxattr fgetxattr",
          "not there, in the words that shutil.copystat expects", answer=errno.ENOTSUP),
)  # fmt: skip

_MMAP_REASON: Final = "memory of this process; code only from files that no job can write (its own tree is noexec)"


def rules(*, file_exec: bool) -> tuple[Rule, ...]:
    """The table.

    Args:
        file_exec: let files be mapped as code, for libraries that are imported late. Only where the job can write
            nothing but a ``noexec`` mount: the kernel then refuses to map what the job itself wrote.
    """
    ways = (_DATA_MAP, _FILE_EXEC) if file_exec else (_DATA_MAP,)
    return (*_COMMON, Rule(("mmap",), _MMAP_REASON, None, ways))

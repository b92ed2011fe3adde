"""System call numbers of the two architectures that the guard knows.

From the kernel's <asm/unistd_64.h> (x86_64) and <asm-generic/unistd.h> (aarch64). None: that architecture never had it.
"""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final[tuple[tuple[str, int, int | None], ...]] = (
    ("read", 0, 63),
    ("write", 1, 64),
    ("open", 2, None),
    ("close", 3, 57),
    ("stat", 4, None),
    ("fstat", 5, 80),
    ("lstat", 6, None),
    ("poll", 7, None),
    ("lseek", 8, 62),
    ("mmap", 9, 222),
    ("mprotect", 10, 226),
    ("munmap", 11, 215),
    ("brk", 12, 214),
    ("rt_sigaction", 13, 134),
    ("rt_sigprocmask", 14, 135),
    ("rt_sigreturn", 15, 139),
    ("ioctl", 16, 29),
    ("pread64", 17, 67),
    ("pwrite64", 18, 68),
    ("readv", 19, 65),
    ("writev", 20, 66),
    ("access", 21, None),
    ("pipe", 22, None),
    ("select", 23, None),
    ("sched_yield", 24, 124),
    ("mremap", 25, 216),
    ("msync", 26, 227),
    ("madvise", 28, 233),
    ("dup", 32, 23),
    ("dup2", 33, None),
    ("nanosleep", 35, 101),
    ("getpid", 39, 172),
    ("sendfile", 40, 71),
    ("sendto", 44, 206),
    ("recvfrom", 45, 207),
    ("shutdown", 48, 210),
    ("getsockname", 51, 204),
    ("socketpair", 53, 199),
    ("setsockopt", 54, 208),
    ("getsockopt", 55, 209),
    ("clone", 56, 220),
    ("exit", 60, 93),
    ("uname", 63, 160),
    ("fcntl", 72, 25),
    ("flock", 73, 32),
    ("fsync", 74, 82),
    ("fdatasync", 75, 83),
    ("truncate", 76, 45),
    ("ftruncate", 77, 46),
    ("getdents", 78, None),
    ("getcwd", 79, 17),
    ("chdir", 80, 49),
    ("fchdir", 81, 50),
    ("rename", 82, None),
    ("mkdir", 83, None),
    ("rmdir", 84, None),
    ("unlink", 87, None),
    ("readlink", 89, None),
    ("chmod", 90, None),
    ("fchmod", 91, 52),
    ("umask", 95, 166),
    ("gettimeofday", 96, 169),
    ("getrlimit", 97, 163),
    ("getrusage", 98, 165),
    ("sysinfo", 99, 179),
    ("times", 100, 153),
    ("getuid", 102, 174),
    ("getgid", 104, 176),
    ("geteuid", 107, 175),
    ("getegid", 108, 177),
    ("setpgid", 109, 154),
    ("getppid", 110, 173),
    ("getpgrp", 111, None),
    ("getgroups", 115, 158),
    ("setgroups", 116, 159),
    ("setresuid", 117, 147),
    ("getresuid", 118, 148),
    ("setresgid", 119, 149),
    ("getresgid", 120, 150),
    ("capset", 126, 91),
    ("rt_sigpending", 127, 136),
    ("sigaltstack", 131, 132),
    ("utime", 132, None),
    ("statfs", 137, 43),
    ("fstatfs", 138, 44),
    ("pivot_root", 155, 41),
    ("prctl", 157, 167),
    ("mount", 165, 40),
    ("umount2", 166, 39),
    ("gettid", 186, 178),
    ("getxattr", 191, 8),
    ("lgetxattr", 192, 9),
    ("fgetxattr", 193, 10),
    ("listxattr", 194, 11),
    ("llistxattr", 195, 12),
    ("flistxattr", 196, 13),
    ("time", 201, None),
    ("futex", 202, 98),
    ("sched_getaffinity", 204, 123),
    ("getdents64", 217, 61),
    ("set_tid_address", 218, 96),
    ("restart_syscall", 219, 128),
    ("fadvise64", 221, 223),
    ("clock_gettime", 228, 113),
    ("clock_getres", 229, 114),
    ("clock_nanosleep", 230, 115),
    ("exit_group", 231, 94),
    ("epoll_wait", 232, None),
    ("epoll_ctl", 233, 21),
    ("utimes", 235, None),
    ("mbind", 237, 235),
    ("set_mempolicy", 238, 237),
    ("get_mempolicy", 239, 236),
    ("openat", 257, 56),
    ("mkdirat", 258, 34),
    ("futimesat", 261, None),
    ("newfstatat", 262, 79),
    ("unlinkat", 263, 35),
    ("renameat", 264, 38),
    ("readlinkat", 267, 78),
    ("fchmodat", 268, 53),
    ("faccessat", 269, 48),
    ("pselect6", 270, 72),
    ("ppoll", 271, 73),
    ("unshare", 272, 97),
    ("set_robust_list", 273, 99),
    ("sync_file_range", 277, 84),
    ("utimensat", 280, 88),
    ("epoll_pwait", 281, 22),
    ("fallocate", 285, 47),
    ("eventfd2", 290, 19),
    ("epoll_create1", 291, 20),
    ("dup3", 292, 24),
    ("pipe2", 293, 59),
    ("preadv", 295, 69),
    ("pwritev", 296, 70),
    ("prlimit64", 302, 261),
    ("getcpu", 309, 168),
    ("renameat2", 316, 276),
    ("seccomp", 317, 277),
    ("getrandom", 318, 278),
    ("membarrier", 324, 283),
    ("copy_file_range", 326, 285),
    ("statx", 332, 291),
    ("rseq", 334, 293),
    ("open_tree", 428, 428),
    ("move_mount", 429, 429),
    ("fsopen", 430, 430),
    ("fsconfig", 431, 431),
    ("fsmount", 432, 432),
    ("clone3", 435, 435),
    ("sethostname", 170, 161),
    ("setdomainname", 171, 162),
    ("close_range", 436, 436),
    ("faccessat2", 439, 439),
    ("process_madvise", 440, 440),
    ("mount_setattr", 442, 442),
    ("landlock_create_ruleset", 444, 444),
    ("landlock_add_rule", 445, 445),
    ("landlock_restrict_self", 446, 446),
    ("fchmodat2", 452, 452),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture.

    Attributes:
        name: as ``platform.machine()`` says it.
        audit_arch: its AUDIT_ARCH_* constant (<linux/audit.h>), which seccomp_data.arch carries.
        numbers: system call number by name, of those it has.
        has_x32: whether numbers from 0x40000000 on are a second table (x32) behind the same audit_arch.
    """

    name: str
    audit_arch: int
    numbers: dict[str, int]
    has_x32: bool


MACHINES: Final = {
    "x86_64": Machine("x86_64", 0xC000003E, {name: x86 for name, x86, _ in _NUMBERS}, True),
    "aarch64": Machine("aarch64", 0xC00000B7, {name: arm for name, _, arm in _NUMBERS if arm is not None}, False),
}
KNOWN_MAX: Final = 469
"""The newest number that this table's author knew (Linux 6.17). What is newer answers ENOSYS, so that a libc that tries
it falls back as it does on an older kernel."""


@functools.cache
def this_machine() -> Machine:
    """The architecture of this process. Raises OSError when the guard does not know it."""
    name = platform.machine()
    if name not in MACHINES:
        raise OSError(f"no system call table for {name}; the kernel guard knows {', '.join(MACHINES)}")
    return MACHINES[name]

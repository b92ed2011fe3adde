"""The filter as a job meets it: every number, and one row for each argument that decides."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import pytest
from tests.escape.numbers import NAMES, NUMBERS
from tests.escape.record import PRELUDE
from tests.escape.world import Side

from warmfork import Client

_MEASURED: Final = """
lseek read write openat close newfstatat ioctl getpid mmap munmap mprotect brk madvise mbind msync futex getdents64 rt_sigprocmask
rt_sigaction getrandom fcntl gettid getcwd set_robust_list rseq exit exit_group clock_nanosleep mkdir rename unlink unlinkat rmdir
sendfile sched_getaffinity epoll_create1 epoll_ctl epoll_wait socketpair getsockname
"""
_HARMLESS: Final = """
rt_sigreturn restart_syscall sigaltstack fstat stat lstat access readlink pread64 pwrite64 readv writev mremap dup dup2 dup3
pipe2 poll ppoll select pselect6 statx faccessat faccessat2 readlinkat ftruncate fsync fdatasync fallocate uname sysinfo getuid
geteuid getgid getegid getppid getrusage times clock_gettime clock_getres gettimeofday time nanosleep sched_yield umask eventfd2
epoll_pwait set_tid_address mkdirat renameat renameat2 flock statfs fstatfs copy_file_range membarrier get_mempolicy chdir
"""
_BY_ARGUMENT: Final = "clone prctl prlimit64"
# Beyond GUARD.md's list, each for a reason: the old twins of what is on it, questions about the process itself, the other
# half of a socket pair.
_TWINS: Final = """
open getdents preadv pwritev pipe truncate fchdir close_range sync_file_range fadvise64 set_mempolicy getcpu rt_sigpending
getgroups getresuid getresgid getpgrp getrlimit sendto recvfrom shutdown getsockopt setsockopt
"""
_FAKED: Final = "chmod fchmod fchmodat fchmodat2 utimensat utime utimes futimesat"
_NOT_THERE: Final = "listxattr llistxattr flistxattr getxattr lgetxattr fgetxattr"  # ENOTSUP without a look

_ALLOWED: Final = frozenset(NUMBERS[name] for name in f"{_MEASURED}{_HARMLESS}{_BY_ARGUMENT}{_TWINS}".split())
_ANSWERED: Final = frozenset(NUMBERS[name] for name in f"{_FAKED} {_NOT_THERE}".split())
# They end the prober, or make it wait for ever. uretprobe passes every filter since Linux 6.14 and is SIGILL outside of a
# probe, so it has a test of its own.
_NOT_PROBED: Final = frozenset(
    NUMBERS[name]
    for name in [
        "exit",
        "exit_group",
        "rt_sigreturn",
        "pause",
        "select",
        "pselect6",
        "poll",
        "ppoll",
        "restart_syscall",
        "uretprobe",
        "uprobe",
    ]
)
_X32: Final = 0x40000000

_PROBE: Final = """
import json
answers = {}
for number in range(FIRST, FIRST + 1024):
    if number not in SKIPPED:
        answers[number] = word(call(number, *[ARGUMENT] * 6))
print("ANSWERS", json.dumps(answers), flush=True)
os._exit(0)
"""


def probe(client: Client, first: int, argument: int, skipped: frozenset[int]) -> Mapping[int, str]:
    """What 1,024 numbers from ``first`` on answer to six times the same argument: errno names; ``0`` and up as text."""
    variables: dict[str, Any] = {
        "NR": NUMBERS,
        "FIRST": first,
        "ARGUMENT": argument,
        "SKIPPED": sorted(skipped),
        "ATTEMPT": "probe",
    }
    paths = dict.fromkeys(("OUTSIDE", "CANARY", "WRITABLE", "NEW"), "/nonexistent")
    result = client.execute(PRELUDE + _PROBE, variables=variables | paths, policy="off", timeout_s=20)
    lines = [line for line in result.stdout.splitlines() if line.startswith("ANSWERS ")]
    assert lines, (result.verdict, result.error, result.stderr)
    answers = {int(number): word for number, word in json.loads(lines[0].split(" ", 1)[1]).items()}
    assert 1024 - len([number for number in skipped if first <= number < first + 1024]) == len(answers)
    return answers


def let_in(answers: Mapping[int, str]) -> set[int]:
    """Numbers that the kernel itself answered."""
    return {number for number, word in answers.items() if word not in ("EPERM", "ENOSYS")}


def names(numbers: set[int]) -> list[str]:
    """For a failed assertion."""
    return sorted(NAMES.get(number, str(number)) for number in numbers)


@pytest.mark.parametrize("argument", [-1, 0])
def test_only_the_allow_list_gets_into_the_kernel(guarded: Side, argument: int) -> None:
    """Of the numbers 0 to 1023 only the allowed and the faked ones answer other than EPERM or ENOSYS."""
    answers = probe(guarded.client, 0, argument, _NOT_PROBED)
    assert [] == names(let_in(answers) - _ALLOWED - _ANSWERED)
    assert len(let_in(answers)) > 80, "the probe itself works"


@pytest.mark.parametrize("argument", [-1, 0])
def test_no_number_of_x32_gets_in(guarded: Side, argument: int) -> None:
    """None of the numbers with the x32 bit answers other than EPERM or ENOSYS, exit and fork included."""
    assert [] == names(let_in(probe(guarded.client, _X32, argument, frozenset())))


def test_faked_calls_say_success(guarded: Side) -> None:
    """chmod and utime and their twins answer 0 whatever the arguments, so they cannot have looked at them."""
    answers = probe(guarded.client, 0, -1, _NOT_PROBED)
    assert {"0"} == {answers[NUMBERS[name]] for name in _FAKED.split()}
    assert {"ENOTSUP"} == {answers[NUMBERS[name]] for name in _NOT_THERE.split()}


def test_clone3_is_not_there(guarded: Side) -> None:
    """clone3 answers ENOSYS, so that libc falls back to clone, whose flags a filter can read."""
    assert "ENOSYS" == probe(guarded.client, 0, -1, _NOT_PROBED)[NUMBERS["clone3"]]


def test_uprobe_calls_end_in_the_job(guarded: Side) -> None:
    """The calls of uprobes cost the job that makes them and answer nothing, whether or not a filter sees them."""
    for name in ("uretprobe", "uprobe"):
        result = guarded.client.execute(
            f"import ctypes\nprint(ctypes.CDLL(None).syscall({NUMBERS[name]}))", policy="off"
        )
        assert result.verdict == "crashed" or "-1\n" == result.stdout, (name, result)


@pytest.mark.skipif(os.geteuid() != 0, reason="the controls show what root's unguarded job can do")
def test_without_the_filter_the_numbers_answer(unguarded: Side) -> None:
    """The control: the same probe without guards gets into the kernel by many numbers that the filter shuts."""
    harmful = "sync vhangup reboot kill tkill tgkill fork vfork setsid munlockall iopl acct syslog umount2 swapoff setns adjtimex"
    waiting = "wait4 waitid msgrcv mq_timedreceive rt_sigtimedwait rt_sigsuspend io_getevents accept accept4 clone clone3 uretprobe"
    quiet = "setuid setgid setreuid setregid setgroups setresuid setresgid setfsuid setfsgid personality alarm unshare mlockall"
    skipped = _NOT_PROBED.union((NUMBERS[name] for name in f"{harmful} {waiting} {quiet}".split()), range(300, 1024))
    answers = probe(unguarded.client, 0, -1, skipped)
    shut = let_in(answers) - _ALLOWED - _ANSWERED
    assert {"socket", "connect", "inotify_init", "shmget", "execve", "chown", "setxattr", "bind"} <= set(names(shut))


# name, arguments as source, answer: "in" (the kernel's own), or an errno name. F is a descriptor of a file of the job.
_ROWS: Final = (
    ("mmap", "0, 4096, 3, 0x22, -1, 0", "in"),
    ("mmap", "0, 4096, 1, 2, F, 0", "in"),
    ("mmap", "0, 4096, 4, 0x22, -1, 0", "EPERM"),
    ("mmap", "0, 4096, 7, 0x22, -1, 0", "EPERM"),
    ("mmap", "0, 4096, 6, 2, F, 0", "EPERM"),
    ("mmap", "0, 4096, 5, 2, F, 0", "EPERM"),  # the kernel's noexec
    ("mmap", "0, 4096, 5, 0x21, -1, 0", "EPERM"),
    ("mmap", "0, 4096, 3 | 1 << 32, 0x22, -1, 0", "in"),
    ("mmap", "0, 4096, 7 | 1 << 32, 0x22, -1, 0", "EPERM"),
    ("mprotect", "PAGE, 4096, 3", "in"),
    ("mprotect", "PAGE, 4096, 5", "EPERM"),
    ("mprotect", "PAGE, 4096, 5 | 1 << 40", "EPERM"),
    ("mprotect", "PAGE, 4096, 0x1000001", "in"),  # PROT_GROWSDOWN: the kernel's EINVAL
    ("fcntl", "F, 1, 0", "in"),
    ("fcntl", "F, 3, 0", "in"),
    ("fcntl", "F, 1030, 0", "in"),
    ("fcntl", "F, 8, 1", "EPERM"),  # F_SETOWN
    ("fcntl", "F, 10, 9", "EPERM"),  # F_SETSIG
    ("fcntl", "F, 15, 0", "EPERM"),  # F_SETOWN_EX
    ("fcntl", "F, 1024, 1", "EPERM"),  # F_SETLEASE
    ("fcntl", "F, 1026, 1", "EPERM"),  # F_NOTIFY
    ("fcntl", "1, 1031, 1 << 20", "EPERM"),  # F_SETPIPE_SZ
    ("fcntl", "F, 1033, 1", "EPERM"),  # F_ADD_SEALS
    ("fcntl", "F, 1 | 1 << 32, 0", "in"),  # the kernel takes the low half too
    ("ioctl", "F, 0x5401, 0", "in"),
    ("ioctl", "F, 0x5451, 0", "in"),
    ("ioctl", "F, 0x5412, 0", "EPERM"),  # TIOCSTI
    ("ioctl", "F, 0x5452, 0", "EPERM"),  # FIOASYNC
    ("ioctl", "F, 0x8901, 0", "EPERM"),  # FIOSETOWN
    ("ioctl", "F, 0x40086602, 0", "EPERM"),  # FS_IOC_SETFLAGS
    ("ioctl", "F, 0x5412 | 1 << 32, 0", "EPERM"),
    ("clone", "17, 0, 0, 0, 0", "EPERM"),
    ("clone", "0x4100 | 17, 0, 0, 0, 0", "EPERM"),
    ("clone", "0x10000 | 0x10000000, 0, 0, 0, 0", "EPERM"),  # a thread in a new user namespace
    ("clone", "0x10000 | 0x80, 0, 0, 0, 0", "EPERM"),  # in a new time namespace
    ("clone", "0x10000, 0, 0, 0, 0", "EPERM"),  # a thread with memory and descriptors of its own
    ("socketpair", "1, 1, 0, (ctypes.c_int * 2)()", "in"),
    ("socketpair", "2, 1, 0, (ctypes.c_int * 2)()", "EPERM"),
    ("socketpair", "30, 1, 0, (ctypes.c_int * 2)()", "EPERM"),
    ("sendto", "-1, b'x', 1, 0, 0, 0", "in"),
    ("sendto", "-1, b'x', 1, 0, b'address', 7", "EPERM"),
    ("sendto", "-1, b'x', 1, 0, 1 << 32, 7", "EPERM"),  # an address whose low half is 0
    ("prctl", "15, b'name', 0, 0, 0", "in"),
    ("prctl", "4, 1, 0, 0, 0", "EPERM"),
    ("prctl", "38, 1, 0, 0, 0", "EPERM"),
    ("prctl", "22, 1, 0, 0, 0", "EPERM"),
    ("prlimit64", "0, 7, 0, (ctypes.c_uint64 * 2)()", "in"),
    ("prlimit64", "1, 7, 0, (ctypes.c_uint64 * 2)()", "EPERM"),
    ("prlimit64", "0, 7, (ctypes.c_uint64 * 2)(1 << 30, 1 << 30), 0", "EPERM"),
)


def test_each_rule_decides_by_its_argument(guarded: Side) -> None:
    """Chromium style: for each argument that the filter looks at, one value passes and its neighbours do not."""
    code = "import json\nF = os.open('own', os.O_CREAT | os.O_RDWR, 0o700)\nos.write(F, bytes(4096))\n"
    code += "PAGE = call('mmap', 0, 4096, 3, 0x22, -1, 0)\nanswers = []\n"
    code += "".join(f"answers.append(word(call({name!r}, {arguments})))\n" for name, arguments, _ in _ROWS)
    code += "print('ANSWERS', json.dumps(answers))\n"
    variables = {
        "NR": NUMBERS,
        "ATTEMPT": "rules",
        **dict.fromkeys(("OUTSIDE", "CANARY", "WRITABLE", "NEW"), "/nonexistent"),
    }
    result = guarded.client.execute(PRELUDE + code, variables=variables, policy="off")
    assert result.ok, result.stderr
    answers = json.loads(result.stdout.split("ANSWERS ")[1])
    told = [
        "in" if expected == "in" and word not in ("EPERM", "ENOSYS") else word
        for (_, _, expected), word in zip(_ROWS, answers, strict=True)
    ]
    assert list(_ROWS) == [(name, arguments, word) for (name, arguments, _), word in zip(_ROWS, told, strict=True)]


# Two bytes, int 0x80, that some library holds by accident are mapped as code and called: a job needs no code of its own
# to enter the kernel by the 32-bit gate. One floating-point argument puts 1 into eax, the i386 number of exit.
_GATE: Final = """
import glob
def find():
    root = os.path.dirname(os.path.dirname(np.__file__))
    for path in sorted(glob.glob(root + "/*.libs/*.so*") + glob.glob(root + "/*/**/*.so", recursive=True)):
        at = open(path, "rb").read().find(b"\\xcd\\x80")
        if at >= 0 and at % 4096 < 4095:
            return path, at
path, at = find()
where = call("mmap", 0, 4096, 5, 2, os.open(path, 0), at & ~4095)
if where < 0: where = 0; print("NOT MAPPED")
else: print("AT THE GATE", flush=True); ctypes.CFUNCTYPE(None, ctypes.c_double)(where + at % 4096)(1.0)
"""


def test_the_32_bit_gate_kills(guarded: Side, unguarded: Side) -> None:
    """int 0x80 ends a guarded job by SIGSYS (or cannot be mapped at all), and works as the i386 exit without guards."""
    variables = {
        "NR": NUMBERS,
        "ATTEMPT": "gate",
        **dict.fromkeys(("OUTSIDE", "CANARY", "WRITABLE", "NEW"), "/nonexistent"),
    }
    bound = guarded.client.execute(PRELUDE + _GATE, variables=variables, policy="off")
    if "NOT MAPPED" not in bound.stdout:
        assert ("crashed", True) == (bound.verdict, "SIGSYS" in str(bound.error)), bound
    free = unguarded.client.execute(PRELUDE + _GATE, variables=variables, policy="off")
    assert "AT THE GATE\n" == free.stdout
    assert ("crashed", True) == (free.verdict, "exit code" in str(free.error)), free

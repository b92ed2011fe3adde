"""The seccomp program, run instruction by instruction in an interpreter of the test's own, for both architectures."""

from __future__ import annotations

import errno
import struct

import pytest

from warmfork_worker.kernel.bpf import Assembler
from warmfork_worker.kernel.filter import compile_filter
from warmfork_worker.kernel.numbers import KNOWN_MAX, MACHINES, Machine
from warmfork_worker.kernel.rules import rules

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS, ENOTSUP, SUCCESS = (0x00050000 | number for number in (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, 0))
THREAD = 0x3D0F00  # what glibc's pthread_create passes to clone
PROT_READ, PROT_WRITE, PROT_EXEC, MAP_ANONYMOUS = 1, 2, 4, 0x20


def run(program: bytes, number: int, arguments: tuple[int, ...] = (), arch: int = 0) -> int:
    """What the program returns for this call (struct seccomp_data, <linux/seccomp.h>)."""
    padded = [value & (1 << 64) - 1 for value in (*arguments, *(0,) * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    code = [struct.unpack_from("=HBBI", program, 8 * index) for index in range(len(program) // 8)]
    word = at = 0
    while True:
        operation, yes, no, operand = code[at]
        at += 1
        if operation == 0x20:
            (word,) = struct.unpack_from("=I", data, operand)
        elif operation == 0x54:
            word &= operand
        elif operation == 0x05:
            at += operand
        elif operation == 0x15:
            at += yes if word == operand else no
        elif operation == 0x35:
            at += yes if word >= operand else no
        else:
            assert operation == 0x06
            return int(operand)


class Filter:
    """The compiled program of one architecture."""

    def __init__(self, machine: Machine, *, file_exec: bool = True) -> None:
        self.machine = machine
        self.program = compile_filter(rules(file_exec=file_exec), machine)

    def __call__(self, call: str | int, *arguments: int) -> int:
        number = self.machine.numbers[call] if isinstance(call, str) else call
        return run(self.program, number, arguments, self.machine.audit_arch)


@pytest.fixture(params=MACHINES)
def filter_(request: pytest.FixtureRequest) -> Filter:
    return Filter(MACHINES[request.param])


def test_every_number_is_judged_as_the_table_says(filter_: Filter) -> None:
    """Each call of the table passes or gets its answer; every other number up to the newest known is EPERM."""
    expected = {}
    for rule in rules(file_exec=True):
        for name in rule.names:
            if name in filter_.machine.numbers and not rule.ways:
                number = filter_.machine.numbers[name]
                expected[number] = ALLOW if rule.errno is None else 0x00050000 | rule.errno
    conditional = {filter_.machine.numbers[name] for rule in rules(file_exec=True) if rule.ways for name in rule.names}
    assert len(expected) > 90
    for number in range(KNOWN_MAX + 1):
        if number not in conditional:
            assert expected.get(number, EPERM) == filter_(number), number


def test_newer_numbers_answer_enosys(filter_: Filter) -> None:
    """A libc that tries a call newer than this table falls back, as it does on an older kernel."""
    assert {ENOSYS} == {filter_(number) for number in range(KNOWN_MAX + 1, KNOWN_MAX + 600)}


def test_x32_numbers_are_refused() -> None:
    """On x86_64 the second table behind bit 30 is refused whole, the number -1 too."""
    filter_ = Filter(MACHINES["x86_64"])
    numbers = [0x40000000 | number for number in range(1024)]
    assert {EPERM} == {filter_(number) for number in (*numbers, 0xFFFFFFFF, 0x80000000)}


def test_another_architecture_is_killed(filter_: Filter) -> None:
    """int 0x80 on x86_64 comes with i386's number; nothing of it may be read by this table."""
    for arch in (0x40000003, 0xC000003E ^ 1, 0, 0x40000028):
        assert KILL == run(filter_.program, filter_.machine.numbers["read"], (), arch)


@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("clone", (THREAD,), ALLOW),
        ("clone", (17,), EPERM),  # fork: SIGCHLD
        ("clone", (0x4111,), EPERM),  # vfork
        ("clone", (THREAD | 0x10000000,), EPERM),  # a thread and a user namespace
        ("clone", (THREAD | 0x80,), EPERM),  # CLONE_NEWTIME
        ("clone3", (0, 0), ENOSYS),
        ("mprotect", (0, 4096, PROT_READ | PROT_WRITE), ALLOW),
        ("mprotect", (0, 4096, PROT_READ | PROT_EXEC), EPERM),
        ("mmap", (0, 4096, PROT_READ | PROT_WRITE, MAP_ANONYMOUS), ALLOW),
        ("mmap", (0, 4096, PROT_READ | PROT_EXEC, MAP_ANONYMOUS), EPERM),
        ("mmap", (0, 4096, PROT_READ | PROT_EXEC, 2), ALLOW),  # a file, MAP_PRIVATE
        ("mmap", (0, 4096, PROT_WRITE | PROT_EXEC, 2), EPERM),
        ("socketpair", (1,), ALLOW),
        ("socketpair", (2,), EPERM),
        ("ioctl", (1, 0x5401), ALLOW),
        ("ioctl", (1, 0x5412), EPERM),  # TIOCSTI
        ("ioctl", (1, 0x1_0000_5412), EPERM),
        ("fcntl", (1, 3), ALLOW),
        ("fcntl", (1, 8), EPERM),  # F_SETOWN
        ("fcntl", (1, 1031), EPERM),  # F_SETPIPE_SZ
        ("prctl", (15,), ALLOW),
        ("prctl", (4, 1), EPERM),  # PR_SET_DUMPABLE
        ("prctl", (1, 0), EPERM),  # PR_SET_PDEATHSIG
        ("prlimit64", (0, 7, 0, 1), ALLOW),
        ("prlimit64", (1, 7, 0, 1), EPERM),
        ("sendto", (3, 1, 1, 0, 0, 0), ALLOW),
        ("sendto", (3, 1, 1, 0, 0x1000, 16), EPERM),
        ("sendto", (3, 1, 1, 0, 0x1_0000_0000, 16), EPERM),  # a pointer whose low half is 0
        ("fchmod", (3, 0o777), SUCCESS),
        ("utimensat", (0, 0, 0, 0), SUCCESS),
        ("fgetxattr", (3, 0, 0, 0), ENOTSUP),
    ],
)
def test_arguments_are_judged(filter_: Filter, call: str, arguments: tuple[int, ...], answer: int) -> None:
    """What a call may do depends on what it asks for."""
    assert answer == filter_(call, *arguments)


@pytest.mark.parametrize("arguments", [(0, 4096, PROT_READ | PROT_EXEC, 2), (0, 4096, PROT_EXEC, MAP_ANONYMOUS)])
def test_without_a_noexec_directory_nothing_becomes_code(arguments: tuple[int, ...]) -> None:
    """Where the job's directory is no noexec mount, a file it wrote could be mapped; so no file may be."""
    assert EPERM == Filter(MACHINES["x86_64"], file_exec=False)("mmap", *arguments)


def test_without_rules_everything_is_refused() -> None:
    """A table that treats all numbers alike needs no search, and is compiled all the same."""
    machine = MACHINES["x86_64"]
    program = compile_filter((), machine)
    assert {EPERM} == {run(program, number, (), machine.audit_arch) for number in range(KNOWN_MAX + 1)}


@pytest.mark.parametrize("file_exec", [True, False])
@pytest.mark.parametrize("name", MACHINES)
def test_the_program_is_short(name: str, *, file_exec: bool) -> None:
    """The kernel compiles it for every worker; near jumps alone leave no room for more than 256 instructions or so."""
    assert len(compile_filter(rules(file_exec=file_exec), MACHINES[name])) // 8 < 240


REFUSED = (  # noqa: SIM905  # a list of names reads best as words
    "unshare pivot_root mount umount2 fsopen fsconfig fsmount move_mount open_tree mount_setattr seccomp capset "
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self setresuid setresgid setgroups sethostname"
).split()  # fmt: skip


def test_what_the_guard_itself_uses_is_refused_afterwards(filter_: Filter) -> None:
    """None of the calls that build the guard can be made from inside it."""
    assert {EPERM} == {filter_(name) for name in REFUSED}


def test_a_jump_out_of_reach_is_an_error() -> None:
    """A conditional jump over more than 255 instructions is refused, not cut."""
    out = Assembler()
    out.if_equal(1, "end")
    for _ in range(256):
        out.give(0)
    out.label("end")
    out.give(1)
    with pytest.raises(ValueError, match="jumps"):
        out.assemble()

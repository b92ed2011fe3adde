"""System calls of another ABI: the numbers of x32, and the 32-bit gate int 0x80 with and without code of one's own."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import Attempt

_NO_X32 = "the kernel is built without x32: nothing to reach"
_X32 = ("EPERM", "ENOSYS")
_GATE = (
    # mov eax, edi; mov ebx, esi; mov ecx, edx; int 0x80; ret, with rbx kept
    "code = bytes.fromhex('5389f889f389d1cd805bc3')\nwhere = need(call('mmap', 0, 4096, 7, 0x62, -1, 0))\n"
    "ctypes.memmove(where, code, len(code))\ngate = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(where)\n"
)
ATTEMPTS = (
    Attempt(
        "x32-open",
        "opens a file by the x32 number of open",
        "tell(call(0x40000002, canary, 0, 0))",
        _X32,
        control=_NO_X32,
    ),
    Attempt(
        "x32-fork",
        "forks by the x32 number",
        "pid = call(0x40000000 + 57)\nif pid == 0: os._exit(0)\ntell(pid)",
        _X32,
        control=_NO_X32,
    ),
    Attempt(
        "x32-execve",
        "runs a program by the number that only x32 has",
        "tell(call(0x40000000 + 520, b'/bin/true', 0, 0))",
        _X32,
        control=_NO_X32,
    ),
    Attempt(
        "x32-ptrace",
        "traces by the number that only x32 has",
        "tell(call(0x40000000 + 521, 0x4206, VICTIM_PID, 0, 0))",
        _X32,
        control=_NO_X32,
    ),
    Attempt(
        "x32-socket", "makes a socket by the x32 number", "tell(call(0x40000000 + 41, 2, 1, 0))", _X32, control=_NO_X32
    ),
    Attempt(
        "high-bits-in-number",
        "puts a bit above 32 into the number of fork",
        "pid = call(57 | 1 << 32)\nif pid == 0: os._exit(0)\ntell(pid)",
    ),
    Attempt(
        "negative-number",
        "uses a negative number",
        "tell(call(-1 - 57))",
        _X32,
        control="no kernel knows it: nothing to reach",
    ),
    Attempt(
        "int80-getpid",
        "enters the kernel by int 0x80 in code of its own",
        _GATE + "tell(gate(20, 0, 0))",
        dies=("crashed",),
    ),
    Attempt(
        "int80-open",
        "opens a file by int 0x80 with a name below 4 GiB",
        _GATE
        + "where = need(call('mmap', 0x10000000, 4096, 3, 0x32, -1, 0))\nctypes.memmove(where, canary, len(canary) + 1)\n"
        "fd = gate(5, where, 0)\nneed(fd)\nshow(fd)",
        evidence=("secret",),
        dies=("crashed",),
    ),
    Attempt(
        "int80-socketcall",
        "makes a socket by the 32-bit socketcall",
        _GATE
        + "where = need(call('mmap', 0x10000000, 4096, 3, 0x32, -1, 0))\nctypes.memmove(where, (ctypes.c_uint32 * 3)(2, 1, 0), 12)\n"
        "tell(gate(102, 1, where))",
        dies=("crashed",),
    ),
    Attempt(
        "vfork-by-code",
        "calls vfork from code of its own, or without it",
        "code = bytes.fromhex('b83a0000000f0585c07509b83c00000031ff0f05c3')\nwhere = call('mmap', 0, 4096, 7, 0x22, -1, 0)\n"
        "if where > 0:\n    ctypes.memmove(where, code, len(code))\n    tell(ctypes.CFUNCTYPE(ctypes.c_int)(where)())\n"
        "else:\n    pid = call('vfork')\n    if pid == 0: os._exit(0)\n    tell(pid)",
    ),
)

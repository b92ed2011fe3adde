"""Signalling, tracing, reading or changing another process."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import NO, NO_PROCESS, Attempt

_VICTIM = ("victim",)
# The guarded job's process numbers are its own namespace's: a refusal may also be "no such process".
_PIDFD = "fd = need(call('pidfd_open', VICTIM_PID, 0))\n"
_REMOTE = (
    "buffer = ctypes.create_string_buffer({})\nclass Piece(ctypes.Structure):\n"
    "    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
    "mine = Piece(ctypes.addressof(buffer), {})\nits = Piece({}, {})\n"
)


def _kill(id: str, tries: str, act: str) -> Attempt:
    return Attempt(id, tries, f"tell({act})", NO_PROCESS, _VICTIM)


def _touch(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO_PROCESS) -> Attempt:
    """Another process is reached without harm (signal 0, a query)."""
    return Attempt(id, tries, code, refusals)


def _change(id: str, tries: str, code: str) -> Attempt:
    return Attempt(id, tries, code, NO_PROCESS, _VICTIM)


def _steal(id: str, tries: str, code: str) -> Attempt:
    return Attempt(id, tries, code, NO_PROCESS, ("secret",))


ATTEMPTS = (
    _kill("kill-victim", "kills another process of its user", "call('kill', VICTIM_PID, 9)"),
    _kill("tkill-victim", "kills it by thread", "call('tkill', VICTIM_PID, 9)"),
    _kill("tgkill-victim", "kills it by group and thread", "call('tgkill', VICTIM_PID, VICTIM_PID, 9)"),
    _kill("kill-group-of-victim", "kills its process group", "call('kill', -VICTIM_PID, 9)"),
    _kill(
        "sigqueue-victim",
        "kills it with a queued signal",
        "call('rt_sigqueueinfo', VICTIM_PID, 15, (ctypes.c_int * 32)(15, 0, -1))",
    ),
    _kill(
        "tgsigqueue-victim",
        "kills it with a signal queued to its thread",
        "call('rt_tgsigqueueinfo', VICTIM_PID, VICTIM_PID, 15, (ctypes.c_int * 32)(15, 0, -1))",
    ),
    _change("pidfd-kill-victim", "kills it through a pidfd", _PIDFD + "tell(call('pidfd_send_signal', fd, 9, 0, 0))"),
    _change(
        "procfd-kill-victim",
        "kills it through its directory in /proc",
        "fd = need(call('open', b'/proc/%d' % VICTIM_PID, os.O_RDONLY | os.O_DIRECTORY))\n"
        "tell(call('pidfd_send_signal', fd, 9, 0, 0))",
    ),
    _change(
        "fcntl-signal-victim",
        "makes a pipe of its own raise SIGKILL in another process",
        # F_SETOWN, F_SETSIG, O_ASYNC
        "a, b = os.pipe()\nneed(call('fcntl', a, 8, VICTIM_PID))\nneed(call('fcntl', a, 10, 15))\n"
        "need(call('fcntl', a, 4, 0o20000))\nos.write(b, b'x')\nreached()",
    ),
    _change(
        "fcntl-setown-ex-victim",
        "does the same with F_SETOWN_EX",
        "a, b = os.pipe()\nneed(call('fcntl', a, 15, (ctypes.c_int * 2)(1, VICTIM_PID)))\nneed(call('fcntl', a, 10, 15))\n"
        "need(call('fcntl', a, 4, 0o20000))\nos.write(b, b'x')\nreached()",
    ),
    _change(
        "ioctl-fiosetown-victim",
        "does the same with FIOSETOWN on a socket pair",
        "pair = (ctypes.c_int * 2)()\nneed(call('socketpair', 1, 1, 0, pair))\n"
        "need(call('ioctl', pair[0], 0x8901, ctypes.byref(ctypes.c_int(VICTIM_PID))))\n"
        "need(call('ioctl', pair[0], 0x5452, ctypes.byref(ctypes.c_int(1))))\nneed(call('fcntl', pair[0], 10, 15))\n"
        "os.write(pair[1], b'x')\nreached()",
    ),
    _touch("kill-everybody", "signals every process that it may (signal 0)", "tell(call('kill', -1, 0))"),
    _touch("kill-parent", "signals the template (signal 0)", "tell(call('kill', os.getppid(), 0))"),
    _touch("kill-init", "signals process 1 (signal 0)", "tell(call('kill', 1, 0))"),
    _touch("kill-daemon", "signals the daemon (signal 0)", "tell(call('kill', DAEMON_PID, 0))"),
    _touch(
        "kill-template",
        "signals the template by its number on the host (signal 0)",
        "tell(call('kill', TEMPLATE_PID, 0))",
    ),
    _touch("kill-own-group", "signals its own group (signal 0)", "tell(call('kill', 0, 0))"),
    _touch(
        "tgkill-daemon", "signals the daemon by thread (signal 0)", "tell(call('tgkill', DAEMON_PID, DAEMON_PID, 0))"
    ),
    _touch("pidfd-open-daemon", "opens a pidfd of the daemon", "tell(call('pidfd_open', DAEMON_PID, 0))"),
    _touch("pidfd-open-parent", "opens a pidfd of the template", "tell(call('pidfd_open', os.getppid(), 0))"),
    _touch(
        "peer-pidfd-of-channel",
        "asks its channel for a pidfd of the daemon",
        "import stat\nfd = next(f for f in range(3, 256) if call('fstat', f, ctypes.create_string_buffer(256)) == 0 "
        "and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
        "tell(call('getsockopt', fd, 1, 77, ctypes.byref(ctypes.c_int()), ctypes.byref(ctypes.c_int(4))))",
        NO,
    ),
    _touch(
        "peer-cred-of-channel",
        "asks its channel who is at the other end",
        "import stat\nfd = next(f for f in range(3, 256) if call('fstat', f, ctypes.create_string_buffer(256)) == 0 "
        "and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
        "tell(call('getsockopt', fd, 1, 17, (ctypes.c_int * 3)(), ctypes.byref(ctypes.c_int(12))))",
        NO,
    ),
    _touch("ptrace-seize", "traces another process", "tell(call('ptrace', 0x4206, VICTIM_PID, 0, 0))"),
    _touch("ptrace-parent", "traces the template", "tell(call('ptrace', 0x4206, os.getppid(), 0, 0))"),
    _touch("ptrace-traceme", "asks the template to trace it", "tell(call('ptrace', 0, 0, 0, 0))", NO),
    _touch(
        "kcmp", "compares its resources with another process's", "tell(call('kcmp', os.getpid(), VICTIM_PID, 1, 0, 0))"
    ),
    _steal(
        "read-victim-memory",
        "reads another process's memory",
        _REMOTE.format(64, 64, "VICTIM_ADDRESS", 64)
        + "need(call('process_vm_readv', VICTIM_PID, ctypes.byref(mine), 1, ctypes.byref(its), 1, 0))\nprint(buffer.raw)\nreached()",
    ),
    _change(
        "write-victim-memory",
        "writes to another process's memory",
        _REMOTE.format(4, 4, "VICTIM_ADDRESS", 4)
        + "tell(call('process_vm_writev', VICTIM_PID, ctypes.byref(mine), 1, ctypes.byref(its), 1, 0))",
    ),
    _touch(
        "read-template-memory",
        "reads the template's memory at an address of its own",
        "own = ctypes.create_string_buffer(8)\nwhere = id(os) & ~15\n"
        + _REMOTE.format(8, 8, "where", 8)
        + "tell(call('process_vm_readv', os.getppid(), ctypes.byref(mine), 1, ctypes.byref(its), 1, 0))",
    ),
    _touch(
        "read-daemon-memory",
        "reads the daemon's memory, where the key is",
        _REMOTE.format(8, 8, "DAEMON_ADDRESS", 8)
        + "tell(call('process_vm_readv', DAEMON_PID, ctypes.byref(mine), 1, ctypes.byref(its), 1, 0))",
    ),
    _steal(
        "read-proc-victim-mem",
        "reads another process's memory through /proc",
        "fd = need(call('open', b'/proc/%d/mem' % VICTIM_PID, os.O_RDONLY))\nbuffer = ctypes.create_string_buffer(64)\n"
        "need(call('pread64', fd, buffer, 64, VICTIM_ADDRESS))\nprint(buffer.raw)\nreached()",
    ),
    _steal(
        "read-victim-environ",
        "reads another process's environment",
        "fd = need(call('open', b'/proc/%d/environ' % VICTIM_PID, os.O_RDONLY))\nshow(fd)",
    ),
    _touch(
        "read-victim-cmdline",
        "reads another process's arguments",
        "tell(call('open', b'/proc/%d/cmdline' % VICTIM_PID, os.O_RDONLY))",
    ),
    _touch(
        "read-victim-maps",
        "reads another process's address space",
        "tell(call('open', b'/proc/%d/maps' % VICTIM_PID, os.O_RDONLY))",
    ),
    _touch(
        "open-template-mem",
        "opens the template's memory",
        "tell(call('open', b'/proc/%d/mem' % os.getppid(), os.O_RDONLY))",
    ),
    _touch(
        "open-daemon-mem", "opens the daemon's memory", "tell(call('open', b'/proc/%d/mem' % DAEMON_PID, os.O_RDONLY))"
    ),
    _steal(
        "steal-victims-descriptor",
        "takes an open file out of another process",
        _PIDFD + "show(need(call('pidfd_getfd', fd, 0, 0)))",
    ),
    _touch(
        "steal-daemons-descriptor",
        "takes a descriptor out of the daemon",
        "fd = need(call('pidfd_open', DAEMON_PID, 0))\ntell(call('pidfd_getfd', fd, 0, 0))",
    ),
    _touch(
        "madvise-victim",
        "advises the kernel on another process's memory",
        _PIDFD
        + _REMOTE.format(8, 8, "VICTIM_ADDRESS & ~4095", 4096)
        + "tell(call('process_madvise', fd, ctypes.byref(its), 1, 20, 0))",
    ),
    _touch(
        "mrelease-victim",
        "has another process's memory released",
        _PIDFD + "tell(call('process_mrelease', fd, 0), 'EINVAL')",
    ),
    _touch(
        "robust-list-victim",
        "asks where another process keeps its locks",
        "tell(call('get_robust_list', VICTIM_PID, (ctypes.c_long * 1)(), (ctypes.c_long * 1)()))",
    ),
    _touch(
        "move-victims-pages",
        "asks where another process's pages are",
        "tell(call('move_pages', VICTIM_PID, 0, 0, 0, 0, 0))",
    ),
    _touch(
        "migrate-victims-pages",
        "moves another process's pages",
        "tell(call('migrate_pages', VICTIM_PID, 64, (ctypes.c_long * 1)(1), (ctypes.c_long * 1)(1)))",
    ),
    _change(
        "limit-victim",
        "sets another process's limits",
        "tell(call('prlimit64', VICTIM_PID, 7, (ctypes.c_uint64 * 2)(9, 9), 0))",
    ),
    _touch(
        "limits-of-victim",
        "asks for another process's limits",
        "tell(call('prlimit64', VICTIM_PID, 7, 0, (ctypes.c_uint64 * 2)()))",
    ),
    _touch(
        "limits-of-daemon",
        "asks for the daemon's limits",
        "tell(call('prlimit64', DAEMON_PID, 7, 0, (ctypes.c_uint64 * 2)()))",
    ),
    Attempt(
        "limit-template",
        "sets the template's limits",
        # RLIMIT_MEMLOCK to what it is: the control must not spoil the template.
        "own = (ctypes.c_uint64 * 2)()\nneed(call('prlimit64', os.getppid(), 8, 0, own))\n"
        "tell(call('prlimit64', os.getppid(), 8, own, 0))",
        NO_PROCESS,
    ),
    _change("renice-victim", "changes another process's priority", "tell(call('setpriority', 0, VICTIM_PID, 15))"),
    _touch("priority-of-victim", "asks for another process's priority", "tell(call('getpriority', 0, VICTIM_PID))"),
    _change(
        "affinity-of-victim",
        "ties another process to one processor",
        "tell(call('sched_setaffinity', VICTIM_PID, 8, (ctypes.c_ulong * 1)(1)))",
    ),
    _touch(
        "see-affinity-of-victim",
        "asks on which processors another process runs",
        "tell(call('sched_getaffinity', VICTIM_PID, 8, (ctypes.c_ulong * 1)()))",
    ),
    _change(
        "schedule-victim",
        "makes another process run only when nobody else does",
        "tell(call('sched_setscheduler', VICTIM_PID, 5, ctypes.byref(ctypes.c_int(0))))",
    ),
    _touch(
        "ioprio-victim", "changes another process's disk priority", "tell(call('ioprio_set', 1, VICTIM_PID, 3 << 13))"
    ),
    _touch(
        "capabilities-of-victim",
        "asks for another process's capabilities",
        "tell(call('capget', (ctypes.c_uint32 * 2)(0x20080522, VICTIM_PID), (ctypes.c_uint32 * 6)()))",
    ),
    _touch(
        "cpu-clock-of-victim",
        "reads another process's CPU clock",
        "tell(call('clock_gettime', ((~VICTIM_PID) << 3) | 2, (ctypes.c_long * 2)()))",
        ("EPERM", "EINVAL"),
    ),
    _touch(
        "perf-victim",
        "counts what another process does",
        "event = (ctypes.c_uint32 * 30)(1, 120, 0)\ntell(call('perf_event_open', event, VICTIM_PID, -1, -1, 0))",
    ),
    _touch(
        "enter-victims-namespaces",
        "enters another process's namespaces",
        _PIDFD + "tell(call('setns', fd, 0x04000000))",
    ),
)

"""The kernel's wider surface: one row per call that a job has no business with.

Where the control answers with the kernel's own errno (``ENOENT`` for a swap file that is not there), it was let in: the
arguments are chosen so that nothing can come of it even for root.
"""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import NO, NO_FILE, NOT_RUN, SHOWN, Attempt

_OR_ABSENT = ("EPERM", "ENOSYS")


def _row(
    id: str, tries: str, arguments: str, let_in: str = "", control: str = SHOWN, refusals: tuple[str, ...] = NO
) -> Attempt:
    words = "".join(f", {word!r}" for word in let_in.split())
    return Attempt(id, tries, f"tell(call({arguments}){words})", refusals, control=control)


def _own(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO, control: str = SHOWN) -> Attempt:
    return Attempt(id, tries, code, refusals, control=control)


_NO_RESOURCE = "root has no CAP_SYS_RESOURCE on this machine, and nobody else may"
_NO_MODULES = "the kernel of this machine is built without modules"
_PROGRAM = (  # one instruction: allow
    "rule = (ctypes.c_uint64 * 1)(0x7FFF000000000006)\nprogram = (ctypes.c_uint64 * 2)(1, ctypes.addressof(rule))\n"
)

_NAMESPACES = (
    _row("unshare-user", "makes a user namespace", "'unshare', 0x10000000"),
    _row("unshare-mount", "makes a mount namespace", "'unshare', 0x20000"),
    _row("unshare-net", "makes a network namespace", "'unshare', 0x40000000"),
    _row("unshare-pid", "makes a pid namespace", "'unshare', 0x20000000"),
    _row("unshare-files", "unshares its descriptors", "'unshare', 0x400"),
    _own(
        "setns-init",
        "enters the namespaces of process 1",
        "fd = need(call('open', b'/proc/1/ns/net', os.O_RDONLY))\ntell(call('setns', fd, 0))",
        NO_FILE,
        control="process 1 of this machine may not be looked into even by root",
    ),
    _own(
        "mount-tmpfs",
        "mounts a tmpfs in its directory",
        "os.mkdir('m')\nneed(call('unshare', 0x20000))\nneed(call('mount', 0, b'/', 0, 0x44000, 0))\ntell(call('mount', b'none', b'm', b'tmpfs', 0, 0))",
    ),
    _own(
        "mount-proc",
        "mounts /proc",
        "os.mkdir('m')\nneed(call('unshare', 0x20000))\nneed(call('mount', 0, b'/', 0, 0x44000, 0))\ntell(call('mount', b'none', b'm', b'proc', 0, 0))",
    ),
    _own(
        "remount-own",
        "makes its directory executable by a remount",
        "tell(call('mount', 0, b'.', 0, 0x20 | 0x1000, 0), 'EINVAL')",
    ),
    _row("umount", "unmounts", "'umount2', b'/nonexistent-warmfork', 2", "ENOENT"),
    _row("umount-own", "unmounts its own directory, and stands on what is below", "'umount2', b'.', 2", "EINVAL"),
    _row("pivot-root", "changes the root", "'pivot_root', b'.', b'nonexistent'", "ENOENT EINVAL"),
    _own("chroot", "changes its root, to climb out of it", "os.mkdir('m')\ntell(call('chroot', b'm'))"),
    _row("open-tree-clone", "clones a mount", "'open_tree', AT_FDCWD, b'.', 1"),
    _row("move-mount", "moves a mount", "'move_mount', -1, b'x', -1, b'y', 0", "EBADF"),
    _row("fsopen", "opens a file system to mount", "'fsopen', b'tmpfs', 0"),
    _row("fsconfig", "configures one", "'fsconfig', -1, 0, 0, 0, 0", "EBADF EINVAL"),
    _row("fsmount", "mounts one", "'fsmount', -1, 0, 0", "EBADF"),
    _row("fspick", "picks a mounted one", "'fspick', AT_FDCWD, b'.', 0", "EINVAL"),
    _row(
        "mount-setattr",
        "changes a mount's attributes",
        "'mount_setattr', AT_FDCWD, b'nonexistent', 0, (ctypes.c_uint64 * 4)(0, 1), 32",
        "ENOENT",
    ),
    _row(
        "statmount",
        "asks for a mount by number",
        "'statmount', (ctypes.c_uint64 * 4)(32), ctypes.create_string_buffer(512), 512, 0",
        "ENOENT EINVAL",
    ),
    _row(
        "listmount",
        "lists the mounts",
        "'listmount', (ctypes.c_uint64 * 3)(24, 0xFFFFFFFFFFFFFFFF, 0), (ctypes.c_uint64 * 64)(), 64, 0",
        "ENOENT",
    ),
)

_PROGRAMS = (
    _row("bpf-map", "makes a BPF map", "'bpf', 0, (ctypes.c_uint32 * 32)(2, 4, 4, 1), 128"),
    _own(
        "bpf-program",
        "loads a BPF program",
        # r0 = 0; exit
        "code = (ctypes.c_uint64 * 2)(0xB7, 0x95)\nname = ctypes.create_string_buffer(b'GPL')\n"
        "facts = (ctypes.c_uint64 * 16)(1 | 2 << 32, ctypes.addressof(code), ctypes.addressof(name))\n"
        "tell(call('bpf', 5, facts, 128))",
    ),
    _own(
        "perf-event",
        "counts its own events",
        "tell(call('perf_event_open', (ctypes.c_uint32 * 30)(1, 120, 0), 0, -1, -1, 0))",
    ),
    _own(
        "perf-event-all",
        "counts everybody's events",
        "tell(call('perf_event_open', (ctypes.c_uint32 * 30)(1, 120, 0), -1, 0, -1, 0))",
    ),
    _row("userfaultfd", "handles its own page faults", "'userfaultfd', 1"),
    _own("dev-userfaultfd", "opens /dev/userfaultfd", "tell(call('open', b'/dev/userfaultfd', os.O_RDWR))", NO_FILE),
    _row("io-uring-setup", "makes an io_uring", "'io_uring_setup', 4, (ctypes.c_uint32 * 30)()"),
    _own(
        "io-uring-sqpoll",
        "makes one with a kernel thread",
        "tell(call('io_uring_setup', 4, (ctypes.c_uint32 * 30)(0, 0, 2)))",
    ),
    _row("io-uring-enter", "enters one", "'io_uring_enter', -1, 1, 0, 0, 0, 0", "EBADF"),
    _row("io-uring-register", "registers with one", "'io_uring_register', -1, 0, 0, 0", "EBADF EINVAL"),
    _row("io-setup", "makes an asynchronous I/O context", "'io_setup', 1, (ctypes.c_ulong * 1)()"),
    _row("seccomp-query", "asks seccomp what it can do", "'seccomp', 2, 0, ctypes.byref(ctypes.c_uint32(0x80000000))"),
    _own("seccomp-filter", "loads a filter of its own", _PROGRAM + "tell(call('seccomp', 1, 0, program))"),
    _own(
        "seccomp-listener", "loads a filter that it answers itself", _PROGRAM + "tell(call('seccomp', 1, 8, program))"
    ),
    _own("prctl-seccomp", "loads a filter through prctl", _PROGRAM + "tell(call('prctl', 22, 2, program, 0, 0))"),
    _row(
        "landlock-ruleset", "makes a Landlock ruleset", "'landlock_create_ruleset', (ctypes.c_uint64 * 2)(1, 0), 8, 0"
    ),
    _row(
        "landlock-restrict",
        "restricts itself further, which costs kernel memory each time",
        "'landlock_restrict_self', -1, 0",
        "EBADF",
    ),
    _row("landlock-version", "asks for Landlock's version", "'landlock_create_ruleset', 0, 0, 1"),
    _row("keyctl", "asks for its session's keyring", "'keyctl', 0, -3, 0"),
    _row("add-key", "adds a key", "'add_key', b'user', b'warmfork', b'x', 1, -2"),
    _row("request-key", "asks for a key", "'request_key', b'user', b'warmfork-none', 0, 0", "ENOKEY"),
    _row("personality", "switches address randomisation off", "'personality', 0x0040000"),
    _row("modify-ldt", "reads its segment table", "'modify_ldt', 0, ctypes.create_string_buffer(16), 16"),
    _row("arch-prctl", "asks for its thread pointer", "'arch_prctl', 0x1003, (ctypes.c_ulong * 1)()"),
    Attempt(
        "uretprobe",
        "makes the call of a uprobe",
        "tell(call('uretprobe'))",
        _OR_ABSENT,
        control=NOT_RUN + "the kernel ends the caller with a signal outside of a probe, past every filter since 6.14",
        dies=("crashed",),
    ),
)

_PRIVILEGES = (
    _row("prctl-dumpable", "makes itself dumpable again", "'prctl', 4, 1, 0, 0, 0"),
    _row("prctl-set-mm", "moves the bounds of its heap", "'prctl', 35, 6, 0, 0, 0", "EINVAL", control=_NO_RESOURCE),
    _row("prctl-keepcaps", "keeps capabilities over a change of user", "'prctl', 8, 1, 0, 0, 0"),
    _row("prctl-securebits", "changes what root means", "'prctl', 28, 0, 0, 0, 0"),
    _row("prctl-ambient", "asks for ambient capabilities", "'prctl', 47, 1, 0, 0, 0"),
    _row("prctl-timerslack", "changes its timers' slack", "'prctl', 29, 1, 0, 0, 0"),
    _row(
        "prctl-core-sched", "asks for core scheduling", "'prctl', 62, 0, 0, 0, (ctypes.c_uint64 * 1)()", "ENODEV EINVAL"
    ),
    _row("prctl-dispatch", "has its system calls raise signals", "'prctl', 59, 0, 0, 0, 0"),
    _row("prctl-tsc", "reads how the clock register is guarded", "'prctl', 25, (ctypes.c_int * 1)(), 0, 0, 0"),
    _row("prctl-mce", "asks what happens on memory errors", "'prctl', 34, 0, 0, 0, 0"),
    _row("setuid-root", "becomes root", "'setuid', 0"),
    _row("setgid-root", "joins root's group", "'setgid', 0"),
    _row("setresuid", "becomes root by setresuid", "'setresuid', 0, 0, 0"),
    _row("setreuid-victim", "becomes another user", "'setreuid', 12345, -1"),
    _row("setresgid", "joins root's group by setresgid", "'setresgid', 0, 0, 0"),
    _row("setgroups", "drops its groups, some of which may forbid it things", "'setgroups', 0, 0"),
    _row("setfsuid", "becomes root for files", "'setfsuid', 0", control=SHOWN),
    _own(
        "capset",
        "takes capabilities",
        "head = (ctypes.c_uint32 * 2)(0x20080522, 0)\ndata = (ctypes.c_uint32 * 6)()\nneed(call('capget', head, data))\ntell(call('capset', head, data))",
    ),
    _own(
        "raise-files",
        "raises its limit of descriptors",
        "own = (ctypes.c_uint64 * 2)()\nneed(call('prlimit64', 0, 7, 0, own))\n"
        "tell(call('prlimit64', 0, 7, (ctypes.c_uint64 * 2)(own[1] + 64, own[1] + 64), 0))",
        control=_NO_RESOURCE,
    ),
    _own(
        "raise-memory",
        "raises its limit of memory",
        "tell(call('setrlimit', 9, (ctypes.c_uint64 * 2)(-1, -1)))",
        control=_NO_RESOURCE,
    ),
    _own(
        "raise-core",
        "asks for core files",
        "tell(call('prlimit64', 0, 4, (ctypes.c_uint64 * 2)(1 << 20, 1 << 20), 0))",
        control=_NO_RESOURCE,
    ),
    _own(
        "raise-cpu",
        "raises its CPU time",
        "tell(call('prlimit64', 0, 0, (ctypes.c_uint64 * 2)(-1, -1), 0))",
        control=_NO_RESOURCE,
    ),
    _own(
        "lower-limit",
        "lowers a limit, which needs no privilege",
        "own = (ctypes.c_uint64 * 2)()\nneed(call('getrlimit', 7, own))\ntell(call('setrlimit', 7, own))",
    ),
    _own(
        "sched-fifo",
        "runs before everybody else",
        "answer = call('sched_setscheduler', 0, 1, ctypes.byref(ctypes.c_int(1)))\n"
        "call('sched_setscheduler', 0, 0, ctypes.byref(ctypes.c_int(0)))\ntell(answer)",
    ),
    _row("sched-attr", "asks for a deadline class", "'sched_setattr', 0, (ctypes.c_uint32 * 12)(48, 99), 0", "EINVAL"),
    _row("sched-affinity", "chooses its processor", "'sched_setaffinity', 0, 8, (ctypes.c_ulong * 1)(1)"),
    _row("setpriority", "raises its priority", "'setpriority', 0, 0, -5"),
    _row("ioprio", "raises its disk priority", "'ioprio_set', 1, 0, 1 << 13 | 4"),
    _row("mlock", "locks memory", "'mlock', ctypes.create_string_buffer(1), 1", "ENOMEM"),
    _row("mlockall", "locks all memory", "'mlockall', 2", "ENOMEM"),
)

_MACHINE = (
    _own("tiocsti", "types into the terminal", "tell(call('ioctl', 0, 0x5412, b'x'), 'ENOTTY')"),
    _own("tiocsctty", "takes a terminal", "tell(call('ioctl', 0, 0x540E, 0), 'ENOTTY')"),
    _own("tioclinux", "types into the console", "tell(call('ioctl', 0, 0x541C, b'\\x02'), 'ENOTTY')"),
    _own(
        "ioctl-high-bits",
        "asks for a terminal ioctl with high bits set, which the kernel cuts off",
        "tell(call('ioctl', 0, 0x5412 | 1 << 32, b'x'), 'ENOTTY')",
    ),
    _own(
        "ioctl-fibmap",
        "asks where its file lies on the disk",
        "fd = need(call('open', b'mine', os.O_CREAT | os.O_RDWR, 0o600))\ntell(call('ioctl', fd, 1, ctypes.byref(ctypes.c_int())), 'EINVAL', 'ENOTTY')",
    ),
    _own(
        "ioctl-getflags",
        "asks for the flags of its file system",
        "fd = need(call('open', b'.', os.O_RDONLY))\ntell(call('ioctl', fd, 0x80086601, ctypes.byref(ctypes.c_long())), 'ENOTTY')",
    ),
    _own(
        "ioctl-clone",
        "shares blocks between files",
        "fd = need(call('open', b'mine', os.O_CREAT | os.O_RDWR, 0o600))\ntell(call('ioctl', fd, 0x40049409, fd), 'EINVAL', 'ENOTSUP', 'ENOTTY')",
    ),
    _own("open-ptmx", "makes a terminal", "tell(call('open', b'/dev/ptmx', os.O_RDWR | os.O_NOCTTY))", NO_FILE),
    _own("open-tun", "opens the tunnel device", "tell(call('open', b'/dev/net/tun', os.O_RDWR))", NO_FILE),
    _own("open-kvm", "opens the hypervisor", "tell(call('open', b'/dev/kvm', os.O_RDWR), 'ENODEV')", NO_FILE),
    _own("open-fuse", "opens FUSE", "tell(call('open', b'/dev/fuse', os.O_RDWR))", NO_FILE),
    _own(
        "open-loop-control",
        "opens the control of loop devices",
        "tell(call('open', b'/dev/loop-control', os.O_RDWR))",
        NO_FILE,
    ),
    _own(
        "open-vsock",
        "opens the device of the machine's host",
        "tell(call('open', b'/dev/vsock', os.O_RDONLY))",
        NO_FILE,
    ),
    _row("quotactl", "sets quotas", "'quotactl', 0x12345678, b'/nonexistent', 0, 0", "ENOENT EINVAL ENODEV ENOTBLK"),
    _row("swapon", "swaps to a file", "'swapon', b'/nonexistent-warmfork', 0", "ENOENT"),
    _row("swapoff", "stops swapping", "'swapoff', b'/nonexistent-warmfork'", "ENOENT"),
    _row("reboot", "reboots (with magic numbers that cannot)", "'reboot', 0, 0, 0, 0", "EINVAL"),
    _row("settimeofday", "sets the clock (to nothing)", "'settimeofday', 0, 0"),
    _row("clock-settime", "sets the clock (from no address)", "'clock_settime', 0, 1", "EFAULT"),
    _row("adjtimex", "asks how the clock is disciplined", "'adjtimex', ctypes.create_string_buffer(512)"),
    _row("clock-adjtime", "asks for one clock's", "'clock_adjtime', 0, ctypes.create_string_buffer(512)"),
    _own(
        "sethostname",
        "names the machine (as it is named)",
        "name = os.uname().nodename.encode()\ntell(call('sethostname', name, len(name)))",
    ),
    _row("setdomainname", "names its domain (at no address)", "'setdomainname', 1, 4", "EFAULT"),
    _row(
        "init-module",
        "loads a kernel module (of no bytes)",
        "'init_module', 0, 0, b''",
        "ENOEXEC EFAULT EINVAL",
        _NO_MODULES,
        _OR_ABSENT,
    ),
    _row("finit-module", "loads one from a descriptor", "'finit_module', -1, b'', 0", "EBADF", _NO_MODULES, _OR_ABSENT),
    _row(
        "delete-module",
        "removes a kernel module",
        "'delete_module', b'warmfork_none', 0o4000",
        "ENOENT",
        _NO_MODULES,
        _OR_ABSENT,
    ),
    _row(
        "kexec-load",
        "loads another kernel (with flags that cannot)",
        "'kexec_load', 0, 0, 0, 0xFFFF",
        "EINVAL",
        control="the kernel may be built without kexec",
        refusals=_OR_ABSENT,
    ),
    _row(
        "kexec-file-load",
        "loads another kernel from a file",
        "'kexec_file_load', -1, -1, 0, 0, 0xFFFF",
        "EINVAL",
        control="the kernel may be built without kexec",
        refusals=_OR_ABSENT,
    ),
    _row("syslog", "asks for the size of the kernel's log", "'syslog', 10, 0, 0"),
    _row(
        "acct",
        "records every process (in no file)",
        "'acct', b'/nonexistent-warmfork/x'",
        "ENOENT",
        control="the kernel may be built without process accounting",
        refusals=_OR_ABSENT,
    ),
    _row(
        "iopl",
        "asks for the machine's ports",
        "'iopl', 0",
        control="the kernel may be built without port access",
        refusals=_OR_ABSENT,
    ),
    _row(
        "ioperm",
        "asks for one port",
        "'ioperm', 0x80, 1, 0",
        control="the kernel may be built without port access",
        refusals=_OR_ABSENT,
    ),
    _row(
        "vhangup",
        "hangs up the terminal",
        "'vhangup'",
        control=NOT_RUN + "it would hang up the terminal of whoever runs the suite",
    ),
    _row(
        "sync",
        "has the whole machine write to disk",
        "'sync'",
        control=NOT_RUN + "it would hold up everybody else on this machine",
    ),
    _row("syncfs", "has a file system write to disk", "'syncfs', -1", "EBADF"),
    _row(
        "sysfs",
        "asks for the file systems known",
        "'sysfs', 3",
        control="the kernel may be built without it",
        refusals=_OR_ABSENT,
    ),
    _row("ustat", "asks for a device's free space", "'ustat', 0x11, ctypes.create_string_buffer(64)", "EINVAL"),
    _row("fanotify", "watches everybody's files", "'fanotify_init', 0, 0"),
    _row("inotify", "makes an inotify", "'inotify_init1', 0"),
    _row("inotify-old", "makes one the old way", "'inotify_init'"),
    _own(
        "shmget",
        "makes a System V segment",
        "key = need(call('shmget', 0, 4096, 0o1600))\ncall('shmctl', key, 0, 0)\nreached()",
    ),
    _own(
        "semget",
        "makes System V semaphores",
        "key = need(call('semget', 0, 1, 0o1600))\ncall('semctl', key, 0, 0, 0)\nreached()",
    ),
    _own(
        "msgget",
        "makes a System V queue",
        "key = need(call('msgget', 0, 0o1600))\ncall('msgctl', key, 0, 0)\nreached()",
    ),
    _row("shm-info", "asks for everybody's segments", "'shmctl', 0, 14, ctypes.create_string_buffer(256)"),
    _row("mq-open", "opens a message queue", "'mq_open', b'warmfork-none', 0", "ENOENT"),
    _row("mq-unlink", "removes a message queue", "'mq_unlink', b'warmfork-none'", "ENOENT"),
    _row(
        "name-to-handle",
        "asks for a file handle of its own directory",
        "'name_to_handle_at', AT_FDCWD, b'.', (ctypes.c_uint32 * 64)(128), (ctypes.c_int * 1)(), 0",
        "ENOTSUP",
    ),
    _own("timer-create", "makes a timer", "tell(call('timer_create', 0, 0, (ctypes.c_int * 1)()))"),
    _row("timerfd", "makes a timer as a descriptor", "'timerfd_create', 1, 0"),
    _row("signalfd", "reads signals from a descriptor", "'signalfd4', -1, (ctypes.c_uint64 * 1)(), 8, 0"),
    _row("setitimer", "sets an interval timer", "'setitimer', 0, (ctypes.c_long * 4)(), 0"),
    _row("alarm", "sets an alarm", "'alarm', 0"),
    _row(
        "process-vm-self", "copies its own memory by process_vm_readv", "'process_vm_readv', os.getpid(), 0, 0, 0, 0, 0"
    ),
    _row("vmsplice", "lends its memory to a pipe", "'vmsplice', 1, 0, 0, 0"),
    _row("tee", "copies between pipes", "'tee', -1, -1, 1, 0", "EBADF EINVAL"),
    _row("remap-file-pages", "changes the order of a mapping", "'remap_file_pages', 0, 0, 0, 0, 0", "EINVAL"),
    _row(
        "mincore",
        "asks which pages of a shared library others use",
        "'mincore', ctypes.cast(libc.read, ctypes.c_void_p).value & ~4095, 4096, ctypes.create_string_buffer(1)",
    ),
    _own(
        "cachestat",
        "asks which pages of a file others use",
        "fd = need(call('open', SHARED_OBJECT.encode(), os.O_RDONLY))\n"
        "tell(call('cachestat', fd, (ctypes.c_uint64 * 2)(0, 4096), (ctypes.c_uint64 * 5)(), 0))",
    ),
    _row("pkey-alloc", "makes a protection key", "'pkey_alloc', 0, 0", "ENOSPC EINVAL"),
    _row(
        "map-shadow-stack",
        "maps a shadow stack",
        "'map_shadow_stack', 0, 4096, 0",
        "ENOTSUP",
        control="the processor has no shadow stacks",
        refusals=_OR_ABSENT,
    ),
    _row(
        "lsm-attributes",
        "asks the security modules about itself",
        "'lsm_get_self_attr', 100, ctypes.create_string_buffer(256), ctypes.byref(ctypes.c_uint32(256)), 0",
        "ENOTSUP E2BIG",
    ),
    _row(
        "lsm-modules",
        "asks which security modules run",
        "'lsm_list_modules', (ctypes.c_uint64 * 16)(), ctypes.byref(ctypes.c_uint32(128)), 0",
    ),
    _row("mseal", "seals memory", "'mseal', 1, 4096, 0", "EINVAL"),
    _row(
        "file-setattr",
        "sets attributes of a file",
        "'file_setattr', AT_FDCWD, b'nonexistent', (ctypes.c_uint64 * 3)(), 24, 0",
        "ENOENT",
    ),
)

ATTEMPTS = (*_NAMESPACES, *_PROGRAMS, *_PRIVILEGES, *_MACHINE)

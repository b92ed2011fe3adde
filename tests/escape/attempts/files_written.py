"""Creating, changing, moving, deleting or marking a file outside the job's directory."""

from __future__ import annotations

from tests.escape.record import NO, NO_FILE, NOT_RUN, Attempt

_FILES = ("files",)
# chmod and utime answer success to every job and do nothing: only what the host sees counts.
_FAKED = ()


def _write(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO_FILE, **more: object) -> Attempt:
    return Attempt(id, tries, code, refusals, _FILES, **more)  # type: ignore[arg-type]  # rows name their fields


def _fake(id: str, tries: str, code: str) -> Attempt:
    return Attempt(id, tries, code, _FAKED, _FILES)


def _open(id: str, tries: str, path: str, flags: str) -> Attempt:
    """Opened for writing and not written: the control must not harm the machine."""
    return Attempt(id, tries, f"tell(call('open', {path}, {flags}))", NO_FILE)


ATTEMPTS = (
    _write(
        "write-create",
        "creates a file in a directory that everybody may write to",
        "tell(call('open', new, os.O_CREAT | os.O_WRONLY, 0o644))",
    ),
    _write("write-creat", "creates it with creat", "tell(call('creat', new, 0o644))"),
    _write(
        "write-openat2",
        "creates it with openat2",
        "tell(call('openat2', AT_FDCWD, new, (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o644, 0), 24))",
    ),
    _write(
        "write-append",
        "appends to a file that everybody may write to",
        "fd = need(call('open', writable, os.O_WRONLY | os.O_APPEND))\ntell(call('write', fd, b'mine', 4))",
    ),
    _write("write-open-truncate", "empties it by opening it", "tell(call('open', writable, os.O_WRONLY | os.O_TRUNC))"),
    _write("write-truncate", "empties it with truncate", "tell(call('truncate', writable, 0))"),
    _write(
        "write-mmap-shared",
        "writes to it through a shared mapping",
        "fd = need(call('open', writable, os.O_RDWR))\nwhere = need(call('mmap', 0, 4096, 3, 1, fd, 0))\n"
        "ctypes.memmove(where, b'mine', 4)\nreached()",
    ),
    _write(
        "write-procfd-reopen",
        "reopens a path descriptor for writing through /proc/self/fd",
        "fd = need(call('open', writable, os.O_PATH))\n"
        "mine = need(call('open', b'/proc/self/fd/%d' % fd, os.O_WRONLY))\ntell(call('write', mine, b'mine', 4))",
    ),
    _write(
        "write-proc-root",
        "creates a file through its parent's root",
        "tell(call('open', b'/proc/%d/root' % os.getppid() + new, os.O_CREAT | os.O_WRONLY, 0o644))",
    ),
    _write(
        "write-proc-cwd",
        "creates a file through the victim's directory",
        "tell(call('open', b'/proc/%d/cwd/new' % VICTIM_PID, os.O_CREAT | os.O_WRONLY, 0o644))",
    ),
    _write("write-mkdir", "makes a directory", "tell(call('mkdir', new, 0o755))"),
    _write("write-mkdirat", "makes a directory with mkdirat", "tell(call('mkdirat', AT_FDCWD, new, 0o755))"),
    _write("write-rmdir", "removes an empty directory", "tell(call('rmdir', EMPTY_DIR.encode()))"),
    _write("write-unlink", "deletes a file", "tell(call('unlink', writable))"),
    _write("write-unlinkat", "deletes a file with unlinkat", "tell(call('unlinkat', AT_FDCWD, writable, 0))"),
    _write("write-rename-in", "moves a file into its directory", "tell(call('rename', writable, b'mine'))"),
    _write(
        "write-rename-out",
        "moves a file of its own out",
        "open('mine', 'w').close()\ntell(call('rename', b'mine', new))",
    ),
    _write(
        "write-renameat-out",
        "moves it out with renameat",
        "open('mine', 'w').close()\ntell(call('renameat', AT_FDCWD, b'mine', AT_FDCWD, new))",
    ),
    _write(
        "write-exchange",
        "exchanges a file of its own with one outside",
        "open('mine', 'w').close()\ntell(call('renameat2', AT_FDCWD, b'mine', AT_FDCWD, writable, 2))",
    ),
    _write(
        "write-link-out",
        "links a file of its own to a name outside",
        "open('mine', 'w').close()\ntell(call('link', b'mine', new))",
    ),
    _write("write-symlink-out", "makes a symlink outside", "tell(call('symlink', b'/etc/passwd', new))"),
    _write(
        "write-symlinkat-out",
        "makes a symlink outside with symlinkat",
        "tell(call('symlinkat', b'/etc/passwd', AT_FDCWD, new))",
    ),
    _write("write-mkfifo-out", "makes a FIFO outside", "tell(call('mknod', new, 0o010644, 0))"),
    _write(
        "write-mknodat-out",
        "makes a regular file outside with mknodat",
        "tell(call('mknodat', AT_FDCWD, new, 0o100644, 0))",
    ),
    _write(
        "write-tmpfile-linked",
        "opens an unnamed file outside and names it",
        "fd = need(call('open', outside, 0o20200000 | os.O_RDWR, 0o644))\n"
        "tell(call('linkat', AT_FDCWD, b'/proc/self/fd/%d' % fd, AT_FDCWD, new, 0x400))",
    ),
    _write(
        "write-through-symlink",
        "writes through a symlink of its own",
        "need(call('symlink', writable, b's'))\ntell(call('open', b's', os.O_WRONLY | os.O_TRUNC))",
    ),
    _write(
        "write-dotdot",
        "creates a file by climbing with ..",
        "tell(call('openat', AT_FDCWD, b'../' * 40 + new[1:], os.O_CREAT | os.O_WRONLY, 0o644))",
    ),
    _write(
        "write-shm",
        "leaves a file in /dev/shm",
        "tell(call('open', b'/dev/shm/' + MARK.encode(), os.O_CREAT | os.O_WRONLY, 0o600))",
    ),
    _write(
        "write-var-tmp",
        "leaves a file in /var/tmp",
        "tell(call('open', b'/var/tmp/' + MARK.encode(), os.O_CREAT | os.O_WRONLY, 0o600))",
    ),
    Attempt(
        "write-tmp",
        "leaves a file in the machine's /tmp",
        "tell(call('open', b'/tmp/' + MARK.encode(), os.O_CREAT | os.O_WRONLY, 0o600))",
        (),  # it may have a /tmp of its own
        _FILES,
    ),
    _fake("mark-chmod", "makes a file executable and setuid", "tell(call('chmod', writable, 0o6777))"),
    _fake("mark-fchmodat", "changes a mode with fchmodat", "tell(call('fchmodat', AT_FDCWD, writable, 0o6777))"),
    _fake(
        "mark-fchmod",
        "changes a mode through a descriptor",
        "fd = call('open', writable, os.O_RDONLY)\ntell(call('fchmod', fd, 0o6777))",
    ),
    _fake("mark-fchmodat2", "changes a mode with fchmodat2", "tell(call('fchmodat2', AT_FDCWD, writable, 0o6777, 0))"),
    _fake(
        "mark-utimensat",
        "sets a file's times",
        "tell(call('utimensat', AT_FDCWD, writable, (ctypes.c_long * 4)(1, 0, 1, 0), 0))",
    ),
    _fake("mark-utime", "sets a file's times with utime", "tell(call('utime', writable, (ctypes.c_long * 2)(1, 1)))"),
    _fake(
        "mark-utimes",
        "sets a file's times with utimes",
        "tell(call('utimes', writable, (ctypes.c_long * 4)(1, 0, 1, 0)))",
    ),
    _fake(
        "mark-futimesat",
        "sets a file's times with futimesat",
        "tell(call('futimesat', AT_FDCWD, writable, (ctypes.c_long * 4)(1, 0, 1, 0)))",
    ),
    _write("mark-chown", "gives a file to another user", "tell(call('chown', writable, 12345, 12345))", NO),
    _write("mark-lchown", "gives a link to another user", "tell(call('lchown', LINK.encode(), 12345, 12345))", NO),
    _write(
        "mark-fchownat",
        "gives a file away with fchownat",
        "tell(call('fchownat', AT_FDCWD, writable, 12345, 12345, 0))",
        NO,
    ),
    _write(
        "mark-setxattr", "sets an extended attribute", "tell(call('setxattr', writable, b'user.evil', b'1', 1, 0))", NO
    ),
    _write(
        "mark-lsetxattr", "sets one with lsetxattr", "tell(call('lsetxattr', writable, b'user.evil', b'1', 1, 0))", NO
    ),
    _write("mark-removexattr", "removes one", "tell(call('removexattr', writable, b'user.mark'))", NO),
    _write(
        "mark-setxattrat",
        "sets one with setxattrat",
        "value = ctypes.create_string_buffer(b'1')\n"
        "tell(call('setxattrat', AT_FDCWD, writable, 0, b'user.evil', (ctypes.c_uint64 * 2)(ctypes.addressof(value), 1), 16))",
        NO,
    ),
    Attempt(
        "mark-inode-flags",
        "sets inode flags on a file of its own (immutable ones could not be wiped)",
        # FS_NODUMP_FL in the control: a file that nobody can delete would be left behind.
        "fd = need(call('open', b'mine', os.O_CREAT | os.O_RDWR, 0o600))\n"
        "tell(call('ioctl', fd, 0x40086602, ctypes.byref(ctypes.c_long(0x40))))",
    ),
    Attempt(
        "mark-own-directory",
        "moves its own directory away, so that another could stand in its place",
        "here = os.getcwd()\ntell(call('rename', here.encode(), here.encode() + b'.moved'))",
        (*NO_FILE, "EBUSY"),
    ),
    _open("open-python", "opens the standard library for writing", "os.__file__.encode()", "os.O_WRONLY"),
    _open("open-numpy", "opens numpy for writing", "np.__file__.encode()", "os.O_WRONLY"),
    _open(
        "open-libc",
        "opens the C library for writing",
        "os.path.realpath('/lib/x86_64-linux-gnu/libc.so.6').encode()",
        "os.O_WRONLY",
    ),
    _open(
        "open-core-pattern",
        "opens /proc/sys/kernel/core_pattern for writing",
        "b'/proc/sys/kernel/core_pattern'",
        "os.O_WRONLY",
    ),
    _open(
        "open-vm-overcommit",
        "opens the machine's memory settings for writing",
        "b'/proc/sys/vm/overcommit_memory'",
        "os.O_WRONLY",
    ),
    _open("open-oom-score", "opens its oom_score_adj for writing", "b'/proc/self/oom_score_adj'", "os.O_WRONLY"),
    _open("open-uid-map", "opens its uid_map for writing", "b'/proc/self/uid_map'", "os.O_WRONLY"),
    _open("open-kmsg", "opens the kernel's log for writing", "b'/dev/kmsg'", "os.O_WRONLY"),
    Attempt(
        "open-disk",
        "opens the disk for writing",
        "tell(call('open', DISK.encode(), os.O_RDWR))",
        NO_FILE,
        control=NOT_RUN + "a mounted disk is not opened for writing on a machine that others use",
    ),
    _open("open-cgroup", "opens the cgroup tree for writing", "b'/sys/fs/cgroup/unified/cgroup.procs'", "os.O_WRONLY"),
    _open("open-tty", "opens a virtual terminal for writing", "b'/dev/tty63'", "os.O_WRONLY | os.O_NOCTTY"),
    _open("open-key", "opens the daemon's key file for writing", "KEY_FILE.encode()", "os.O_WRONLY"),
    _open("open-lock", "opens the daemon's lock for writing", "(RUNTIME_DIR + '/lock').encode()", "os.O_WRONLY"),
    _write(
        "write-runtime-directory",
        "plants a file in the daemon's runtime directory",
        "tell(call('open', (RUNTIME_DIR + '/planted').encode(), os.O_CREAT | os.O_WRONLY, 0o600))",
    ),
    _write(
        "write-slots",
        "plants a directory among the slots",
        "tell(call('mkdir', (RUNTIME_DIR + '/slots/planted').encode(), 0o700))",
    ),
)

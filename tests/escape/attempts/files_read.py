"""Reading, listing or just seeing a file outside the job's directory."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from tests.escape.record import NO_FILE, Attempt


def _read(id: str, tries: str, code: str, **more: object) -> Attempt:
    return Attempt(id, tries, code, NO_FILE, ("secret",), **more)  # type: ignore[arg-type]  # rows name their fields


def _see(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO_FILE, **more: object) -> Attempt:
    return Attempt(id, tries, code, refusals, **more)  # type: ignore[arg-type]  # rows name their fields


_INIT = "process 1 of this machine may not be looked into even by root"

ATTEMPTS = (
    _read("read-open", "opens a file by its absolute path", "show_file(canary)"),
    _read("read-openat", "opens it with openat", "show(need(call('openat', AT_FDCWD, canary, os.O_RDONLY)))"),
    _read(
        "read-openat-dotdot",
        "climbs out of its directory with ..",
        "show(need(call('openat', AT_FDCWD, b'../' * 40 + canary[1:], os.O_RDONLY)))",
    ),
    _read(
        "read-openat2",
        "opens it with openat2 and no restriction",
        "show(need(call('openat2', AT_FDCWD, canary, (ctypes.c_uint64 * 3)(0, 0, 0), 24)))",
    ),
    _read(
        "read-dirfd-of-root",
        "opens / as a path descriptor and goes down from there",
        "root = need(call('open', b'/', os.O_PATH | os.O_DIRECTORY))\n"
        "show(need(call('openat', root, canary[1:], os.O_RDONLY)))",
    ),
    _read(
        "read-chdir-out",
        "changes its directory to the file's",
        "need(call('chdir', outside))\nshow(need(call('open', os.path.basename(CANARY).encode(), os.O_RDONLY)))",
    ),
    _read(
        "read-fchdir-out",
        "changes its directory through a path descriptor",
        "fd = need(call('open', outside, os.O_PATH | os.O_DIRECTORY))\nneed(call('fchdir', fd))\n"
        "show(need(call('open', os.path.basename(CANARY).encode(), os.O_RDONLY)))",
    ),
    _read(
        "read-opath-reopened",
        "opens it as a path only, which Landlock allows, and reopens that through /proc/self/fd",
        "fd = need(call('open', canary, os.O_PATH))\nshow_file(b'/proc/self/fd/%d' % fd)",
    ),
    _read("read-proc-self-root", "goes through /proc/self/root", "show_file(b'/proc/self/root' + canary)"),
    _read(
        "read-proc-self-cwd", "goes through /proc/self/cwd", "show_file(b'/proc/self/cwd/' + b'../' * 40 + canary[1:])"
    ),
    _read(
        "read-proc-1-root", "goes through the root of process 1", "show_file(b'/proc/1/root' + canary)", control=_INIT
    ),
    _read(
        "read-proc-parent-root",
        "goes through the root of its parent",
        "show_file(b'/proc/%d/root' % os.getppid() + canary)",
    ),
    _read(
        "read-proc-daemon-root", "goes through the daemon's root", "show_file(b'/proc/%d/root' % DAEMON_PID + canary)"
    ),
    _read(
        "read-proc-task-root",
        "goes through the root of its own thread",
        "show_file(b'/proc/thread-self/root' + canary)",
    ),
    _read("read-symlink", "makes a symlink and follows it", "need(call('symlink', canary, b's'))\nshow_file(b's')"),
    _read(
        "read-symlink-to-root",
        "makes a symlink to / and goes down from there",
        "need(call('symlinkat', b'/', AT_FDCWD, b's'))\nshow_file(b's' + canary)",
    ),
    _read("read-hardlink", "makes a hard link to it", "need(call('link', canary, b'h'))\nshow_file(b'h')"),
    _read(
        "read-linkat-procfd",
        "gives a path descriptor a name in its directory",
        "fd = need(call('open', canary, os.O_PATH))\nneed(call('linkat', AT_FDCWD, b'/proc/self/fd/%d' % fd, AT_FDCWD, b'h', 0x400))\n"
        "show_file(b'h')",
    ),
    _read("read-rename-in", "moves it into its directory", "need(call('rename', canary, b'r'))\nshow_file(b'r')"),
    _read(
        "read-mmap",
        "maps it into memory",
        "fd = need(call('open', canary, os.O_RDONLY))\nwhere = need(call('mmap', 0, 4096, 1, 2, fd, 0))\n"
        "print(ctypes.string_at(where, 200))\nreached()",
    ),
    _read(
        "read-sendfile",
        "has the kernel copy it to standard output",
        "fd = need(call('open', canary, os.O_RDONLY))\nneed(call('sendfile', 1, fd, 0, 200))\nprint()\nreached()",
    ),
    _read(
        "read-copy-file-range",
        "has the kernel copy it into a file of its own",
        "fd = need(call('open', canary, os.O_RDONLY))\nmine = need(call('open', b'copy', os.O_RDWR | os.O_CREAT, 0o600))\n"
        "need(call('copy_file_range', fd, 0, mine, 0, 200, 0))\ncall('lseek', mine, 0, 0)\nshow(mine)",
    ),
    _read(
        "read-splice",
        "splices it into a pipe",
        "fd = need(call('open', canary, os.O_RDONLY))\na, b = os.pipe()\nneed(call('splice', fd, 0, b, 0, 200, 0))\nshow(a)",
    ),
    _read(
        "read-by-handle",
        "opens it by a file handle, which needs no path",
        "handle = ctypes.create_string_buffer(HANDLE, 256)\nmount = need(call('open', b'.', os.O_RDONLY))\n"
        "show(need(call('open_by_handle_at', mount, handle, os.O_RDONLY)))",
    ),
    _read(
        "read-bind-mount",
        "binds its directory into its own",
        "os.mkdir('m')\nneed(call('unshare', 0x20000))\nneed(call('mount', 0, b'/', 0, 0x44000, 0))\n"
        "need(call('mount', outside, b'm', 0, 0x1000, 0))\nshow_file(b'm/' + os.path.basename(CANARY).encode())",
    ),
    _read(
        "read-open-tree",
        "opens its directory as a detached mount",
        "tree = need(call('open_tree', AT_FDCWD, outside, 1))\n"
        "show(need(call('openat', tree, os.path.basename(CANARY).encode(), os.O_RDONLY)))",
    ),
    _read(
        "read-userns-mount",
        "makes a user namespace to be root in and binds it there",
        "need(call('unshare', 0x10020000))\nos.mkdir('m')\nneed(call('mount', 0, b'/', 0, 0x44000, 0))\n"
        "need(call('mount', outside, b'm', 0, 0x1000, 0))\nshow_file(b'm/' + os.path.basename(CANARY).encode())",
    ),
    _read(
        "read-victims-file",
        "reads the file that another process has open",
        "show_file(b'/proc/%d/fd/0' % VICTIM_PID)",
    ),
    _read(
        "read-key-file",
        "reads the daemon's key file",
        "fd = need(call('open', KEY_FILE.encode(), os.O_RDONLY))\nbuffer = ctypes.create_string_buffer(32)\n"
        "need(call('read', fd, buffer, 32))\nprint(buffer.raw.hex())\nreached()",
    ),
    _see(
        "see-stat",
        "asks for the size and time of a file",
        "tell(call('stat', canary, ctypes.create_string_buffer(256)))",
    ),
    _see("see-lstat", "asks without following links", "tell(call('lstat', canary, ctypes.create_string_buffer(256)))"),
    _see(
        "see-statx",
        "asks with statx",
        "tell(call('statx', AT_FDCWD, canary, 0, 0x7FF, ctypes.create_string_buffer(256)))",
    ),
    _see(
        "see-newfstatat",
        "asks with fstatat",
        "tell(call('newfstatat', AT_FDCWD, canary, ctypes.create_string_buffer(256), 0))",
    ),
    _see("see-access", "asks whether it is there", "tell(call('access', canary, 0))"),
    _see("see-faccessat2", "asks with faccessat2", "tell(call('faccessat2', AT_FDCWD, canary, 0, 0x200))"),
    _see(
        "see-readlink",
        "reads where a link outside leads",
        "tell(call('readlink', LINK.encode(), ctypes.create_string_buffer(200), 200))",
    ),
    _see(
        "see-statfs",
        "asks for the file system outside",
        "tell(call('statfs', outside, ctypes.create_string_buffer(256)))",
    ),
    _see("see-opath", "opens it as a path only", "tell(call('open', canary, os.O_PATH))"),
    _see(
        "see-handle",
        "asks for its file handle",
        "handle = ctypes.create_string_buffer((128).to_bytes(4, 'little'), 256)\n"
        "tell(call('name_to_handle_at', AT_FDCWD, canary, handle, ctypes.byref(ctypes.c_int()), 0))",
    ),
    _see(
        "see-getxattr",
        "reads an extended attribute",
        "tell(call('getxattr', writable, b'user.mark', ctypes.create_string_buffer(64), 64))",
        (*NO_FILE, "ENOTSUP"),
    ),
    _see(
        "see-listxattr",
        "lists extended attributes",
        "tell(call('listxattr', writable, ctypes.create_string_buffer(64), 64))",
        (*NO_FILE, "ENOTSUP"),
    ),
    _see(
        "see-list-directory",
        "lists the directory outside",
        "fd = need(call('open', outside, os.O_RDONLY | os.O_DIRECTORY))\n"
        "tell(call('getdents64', fd, ctypes.create_string_buffer(4096), 4096))",
    ),
    _see(
        "see-inotify",
        "watches the directory outside",
        "fd = need(call('inotify_init1', 0))\ntell(call('inotify_add_watch', fd, outside, 0xFFF))",
    ),
    _see(
        "see-runtime-directory",
        "lists the daemon's runtime directory",
        "tell_python(lambda: os.listdir(RUNTIME_DIR))",
    ),
    _see("see-slots", "lists the other slots", "tell_python(lambda: os.listdir(RUNTIME_DIR + '/slots'))"),
    _see("see-root-home", "lists /root", "tell_python(lambda: os.listdir('/root'))"),
    _see("see-shadow", "opens /etc/shadow", "tell(call('open', b'/etc/shadow', os.O_RDONLY))"),
    # The private root has one of its own, with one user in it.
    _see(
        "see-passwd",
        "reads the machine's users",
        "def act():\n    if 'root:' not in open('/etc/passwd').read(): refused('EACCES')\ntell_python(act)",
    ),
    _see("see-hostname", "opens /etc/hostname", "tell(call('open', b'/etc/hostname', os.O_RDONLY))"),
    _see(
        "see-disk",
        "opens the disk",
        "tell(call('open', DISK.encode(), os.O_RDONLY))",
        control="a device cgroup shuts the disk for root as well here",
    ),
    _see("see-kmsg", "opens the kernel's log", "tell(call('open', b'/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK))"),
    _see("see-kallsyms", "opens the kernel's symbols", "tell(call('open', b'/proc/kallsyms', os.O_RDONLY))"),
    _see(
        "see-kcore",
        "opens the kernel's memory",
        "tell(call('open', b'/proc/kcore', os.O_RDONLY))",
        control="the kernel is built without /proc/kcore here",
    ),
    _see("see-proc-net", "reads the table of connections", "tell(call('open', b'/proc/net/tcp', os.O_RDONLY))"),
    _see(
        "see-processes",
        "lists the processes of the machine",
        "tell(0 if os.path.exists(f'/proc/{VICTIM_PID}/cmdline') else -2)",
    ),
    _see("see-sys", "lists the network devices in /sys", "tell_python(lambda: os.listdir('/sys/class/net'))"),
    _see(
        "see-mountinfo",
        "reads its mounts, which name the host's paths",
        "tell(call('open', b'/proc/self/mountinfo', os.O_RDONLY))",
    ),
    _see("see-cgroup", "reads the cgroup hierarchy", "tell_python(lambda: os.listdir('/sys/fs/cgroup'))"),
)

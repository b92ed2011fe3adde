"""Traps for the daemon when it collects a job's files."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from typing import Final

from tests.escape.record import NO_DISK, Attempt

_COLLECTOR: Final = (
    "the defence is the daemon's collector, which no mode switches off; no trap of the kernel's is needed"
)


def _plant(id: str, tries: str, act: str, refusals: tuple[str, ...] = ("EPERM", "EACCES")) -> Attempt:
    """Something that is not a regular file: it cannot even be made."""
    return Attempt(id, tries, f"tell({act})", refusals)


def _leave(id: str, tries: str, code: str) -> Attempt:
    """It can be made; the job's answer comes all the same and brings nothing bad."""
    return Attempt(id, tries, code, control=_COLLECTOR, verdicts=("ok", "disk_limit"))


ATTEMPTS = (
    _plant("plant-symlink", "leaves a link to a file outside", "call('symlink', canary, b'chart.png')"),
    _plant("plant-symlink-directory", "leaves a link to a directory outside", "call('symlink', outside, b'data')"),
    _plant("plant-symlink-loop", "leaves a link to itself", "call('symlink', b'loop', b'loop')"),
    _plant("plant-symlink-key", "leaves a link to the key", "call('symlink', KEY_FILE.encode(), b'key')"),
    _plant(
        "plant-proc-link",
        "leaves a link to /proc/self/environ, which is the daemon's when the daemon reads it",
        "call('symlink', b'/proc/self/environ', b'environ')",
    ),
    _plant(
        "plant-hardlink",
        "leaves a hard link to a file outside",
        "call('link', canary, b'hard')",
        ("EPERM", "EACCES", "ENOENT"),
    ),
    _plant("plant-fifo", "leaves a FIFO, on which a reader would wait for ever", "call('mknod', b'fifo', 0o010600, 0)"),
    _plant("plant-device", "leaves a device of zeros without end", "call('mknod', b'zero', 0o020600, 0x105)"),
    _plant("plant-terminal", "leaves a terminal device", "call('mknodat', AT_FDCWD, b'tty', 0o020600, 0x500)"),
    _plant("plant-socket-node", "leaves a socket node", "call('mknod', b'sock', 0o140600, 0)"),
    _leave(
        "leave-names",
        "leaves files with hostile names",
        "for name in (b'a\\nb', b'\\x1b[2J', b'back\\\\slash', b'..\\\\up', b'\\xff\\xfe', b'x' * 255, b' ', b'-rf', b'.. ', b'con\\x7f',\n"
        "             'rtl\\u202egnp.exe'.encode(), b'%2e%2e%2f', b'~', b'$(id)', b'a:b', b'nul\\x01'):\n"
        "    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))",
    ),
    _leave(
        "leave-deep",
        "leaves a tree of 3,000 directories",
        "for _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nopen('f', 'w').close()",
    ),
    _leave(
        "leave-long-path",
        "leaves a path longer than the system allows",
        "for _ in range(40):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('f', 'w').close()",
    ),
    _leave(
        "leave-unreadable",
        "leaves files and directories that nobody may read",
        "os.close(os.open('none', os.O_CREAT | os.O_WRONLY, 0))\nos.mkdir('shut', 0)\nos.mkdir('write-only', 0o300)",
    ),
    _leave(
        "leave-sparse",
        "leaves sparse files up to its limit",
        "for i in range(50):\n    with open(f's{i}', 'wb') as f: f.truncate(20 << 20)",
    ),
    _leave(
        "leave-many",
        "leaves more files than are collected",
        "try:\n    for i in range(3000): open(f'f{i}', 'w').write('x')\nexcept OSError: pass",
    ),
    _leave(
        "leave-changing",
        "reports by itself and goes on changing files while they are read",
        "import stat, struct, threading\nfrom warmfork.wire.codec import pack\n"
        "open('a', 'wb').write(bytes(4 << 20))\nopen('b', 'w').write('small')\n"
        "def swap():\n"
        "    while True:\n"
        "        os.rename('a', 'c'); os.rename('b', 'a'); os.rename('c', 'b')\n"
        "        with open('a', 'r+b') as f: f.truncate(1); f.truncate(8 << 20)\n"
        "threading.Thread(target=swap, daemon=True).start()\n"
        "fd = next(f for f in range(3, 256) if call('fstat', f, ctypes.create_string_buffer(256)) == 0 and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
        "head = pack({'v': 1, 'type': 'report', 'parts': [], 'outcome': 'ok'})\n"
        "os.write(fd, b'WFK1' + struct.pack('>IQ', 1, len(head)) + head)\nwhile True: pass",
    ),
    _leave(
        "leave-image-bomb",
        "leaves a PNG of 60,000 x 60,000 and one that is none",
        "import struct\nopen('bomb.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR' + struct.pack('>II', 60000, 60000) + bytes(80))\nopen('none.png', 'w').write('text')",
    ),
    _leave(
        "leave-mapped",
        "leaves a file that it has mapped and locked",
        "import fcntl, mmap\nf = open('m', 'w+b')\nf.truncate(1 << 20)\nm = mmap.mmap(f.fileno(), 1 << 20)\nfcntl.flock(f, fcntl.LOCK_EX)",
    ),
    Attempt(
        "leave-terabyte",
        "leaves a file of 1 TiB by fallocate's holes",
        "fd = os.open('t', os.O_CREAT | os.O_RDWR, 0o600)\nneed(call('ftruncate', fd, (1 << 40) - 4096))\nreached()",
        NO_DISK,
        dies=("disk_limit",),
    ),
    Attempt(
        "leave-lease",
        "takes a lease on a file, so that whoever opens it waits",
        "fd = os.open('t', os.O_CREAT | os.O_RDWR, 0o600)\ntell(call('fcntl', fd, 1024, 1))",
    ),
    Attempt(
        "leave-xattr",
        "marks a file of its own with an extended attribute",
        "fd = os.open('t', os.O_CREAT | os.O_RDWR, 0o600)\ntell(call('fsetxattr', fd, b'user.x', b'1', 1, 0))",
    ),
)

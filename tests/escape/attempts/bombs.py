"""Taking more than its share: memory, processors, threads, descriptors, disk, output, the stack."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.escape.record import NO_DISK, Attempt

_MIB: Final = 1 << 20
_SMALL: Final[Mapping[str, Any]] = {"memory_bytes": 64 * _MIB}
_LARGE: Final[Mapping[str, Any]] = {"memory_bytes": 2048 * _MIB}
_OWN: Final = "it harms its own process alone, with and without guards: there is nothing to reach"
_WIRE: Final = "the bound is the wire's, which no mode switches off"


def _memory(id: str, tries: str, act: str) -> Attempt:
    """At least 200 MiB where 64 are allowed."""
    code = f"try:\n    {act}\nexcept (MemoryError, OverflowError):\n    refused('MemoryError')\nreached()"
    return Attempt(
        id, tries, code, ("MemoryError", "ENOMEM"), dies=("memory_limit",), options=_SMALL, control_options=_LARGE
    )


def _disk(id: str, tries: str, act: str) -> Attempt:
    """Some 40 MiB where 24 are allowed."""
    return Attempt(id, tries, f"def act():\n    {act}\ntell_python(act)", NO_DISK, dies=("disk_limit",))


def _time(id: str, tries: str, act: str) -> Attempt:
    """More than half a second of work where 0.2 are allowed."""
    code = f"import time\nstart = time.process_time()\n{act}\nreached()"
    return Attempt(
        id,
        tries,
        code,
        ("none",),
        dies=("timeout", "cpu_limit"),
        options={"timeout_s": 0.2},
        control_options={"timeout_s": 60.0},
    )


def _flood(id: str, tries: str, code: str, control: str = "reached") -> Attempt:
    """The job comes to its end; what the daemon keeps of it is bounded."""
    return Attempt(id, tries, code, (), ("flood",), control=control)


def _itself(id: str, tries: str, code: str, *verdicts: str) -> Attempt:
    return Attempt(id, tries, code, control=_OWN, verdicts=verdicts, options=_SMALL)


ATTEMPTS = (
    _memory("memory-bytearray", "fills byte arrays", "kept = [bytearray(b'x') * (8 << 20) for _ in range(25)]"),
    _memory("memory-numpy", "fills a numpy array", "kept = np.ones(26_000_000)"),
    _memory("memory-list", "repeats a list", "kept = [0] * 30_000_000"),
    _memory("memory-integer", "shifts an integer far", "kept = 1 << (8 * 250 * (1 << 20))"),
    _memory("memory-string", "doubles a string", "kept = 'x' * 1024\n    while len(kept) < 250 << 20: kept += kept"),
    _memory(
        "memory-shared",
        "maps shared anonymous memory, which RLIMIT_DATA does not count",
        "where = need(call('mmap', 0, 200 << 20, 3, 0x21, -1, 0)); ctypes.memset(where, 1, 200 << 20)",
    ),
    _memory(
        "memory-private-map",
        "maps private memory piece by piece",
        "for _ in range(25): ctypes.memset(need(call('mmap', 0, 8 << 20, 3, 0x22, -1, 0)), 1, 8 << 20)",
    ),
    _memory(
        "memory-mremap",
        "lets a mapping grow",
        "where = need(call('mmap', 0, 4096, 3, 0x22, -1, 0)); where = need(call('mremap', where, 4096, 200 << 20, 1)); "
        "ctypes.memset(where, 1, 200 << 20)",
    ),
    _memory(
        "memory-malloc",
        "allocates with libc's malloc",
        "libc.malloc.restype = ctypes.c_void_p\n    where = libc.malloc(ctypes.c_size_t(200 << 20))\n"
        "    if not where: refused('ENOMEM')\n    ctypes.memset(where, 1, 200 << 20)",
    ),
    Attempt(
        "memory-decompress",
        "unpacks 120 kB to 120 MiB",
        "import zlib\npack = zlib.compressobj()\nsmall = b''.join(pack.compress(bytes(1 << 20)) for _ in range(120)) + pack.flush()\n"
        "try:\n    kept = zlib.decompress(small)\nexcept MemoryError:\n    refused('MemoryError')\nreached()",
        ("MemoryError",),
        dies=("memory_limit",),
        options=_SMALL,
        control_options=_LARGE,
    ),
    Attempt(
        "memory-thread-stacks",
        "starts threads with large stacks",
        "import threading\nstop = threading.Event()\nthreading.stack_size(64 << 20)\ntry:\n    for _ in range(16):\n"
        "        threading.Thread(target=stop.wait).start()\nexcept (RuntimeError, MemoryError):\n    stop.set()\n    refused('RuntimeError')\n"
        "stop.set()\nreached()",
        ("RuntimeError",),
        dies=("memory_limit", "timeout"),  # Python itself may wait for ever for a thread that died at its start
        options={**_SMALL, "timeout_s": 2.0},
        control_options={**_LARGE, "timeout_s": 20.0},
    ),
    Attempt(
        "memory-pipe-size",
        "makes its pipes large, which is kernel memory",
        "a, b = os.pipe()\ntell(call('fcntl', a, 1031, 1 << 20))",
    ),
    Attempt(
        "threads",
        "starts 200 threads",
        "import threading\nstop = threading.Event()\nthreading.stack_size(64 << 10)\ntry:\n    for _ in range(200):\n"
        "        threading.Thread(target=stop.wait).start()\nexcept RuntimeError:\n    stop.set()\n    refused('RuntimeError')\n"
        "stop.set()\nreached()",
        ("RuntimeError",),
    ),
    Attempt(
        "descriptors-open",
        "opens 500 files",
        "kept = []\ndef act():\n    for _ in range(500): kept.append(open('/dev/null'))\ntell_python(act)",
        ("EMFILE",),
    ),
    Attempt(
        "descriptors-dup",
        "duplicates a descriptor 500 times",
        "for _ in range(500): need(call('dup', 1))\nreached()",
        ("EMFILE",),
    ),
    Attempt(
        "descriptors-pipe",
        "makes 300 pipes",
        "def act():\n    for _ in range(300): os.pipe()\ntell_python(act)",
        ("EMFILE",),
    ),
    Attempt(
        "descriptors-epoll",
        "makes 500 event queues",
        "for _ in range(500): need(call('epoll_create1', 0))\nreached()",
        ("EMFILE", "EPERM"),
    ),
    _disk(
        "disk-one-file",
        "writes one large file",
        "f = open('big', 'wb')\n    for _ in range(40): f.write(bytes(1 << 20))\n    f.flush()",
    ),
    _disk("disk-many-files", "writes many files", "for i in range(40): open(f'f{i}', 'wb').write(bytes(1 << 20))"),
    _disk(
        "disk-temp",
        "writes to its temporary directory",
        "for i in range(40): open(os.environ['TMPDIR'] + f'/f{i}', 'wb').write(bytes(1 << 20))",
    ),
    _disk(
        "disk-both",
        "writes to both of its directories",
        "for i in range(26):\n        for place in ('.', os.environ['TMPDIR']): open(f'{place}/f{i}', 'wb').write(bytes(1 << 20))",
    ),
    _disk(
        "disk-deleted",
        "keeps deleted files open",
        "kept = []\n    for i in range(40):\n        kept.append(open('f', 'wb')); kept[-1].write(bytes(1 << 20)); kept[-1].flush(); os.unlink('f')",
    ),
    _disk(
        "disk-fallocate",
        "has room set aside",
        "fd = os.open('f', os.O_CREAT | os.O_RDWR, 0o600)\n    os.posix_fallocate(fd, 0, 40 << 20)",
    ),
    _disk(
        "disk-sparse-giant", "makes a file of almost 1 TiB without data", "open('f', 'wb').truncate((1 << 40) - 4096)"
    ),
    _disk(
        "disk-mapped",
        "writes through a mapping of a large file",
        "import mmap\n    f = open('f', 'w+b')\n    f.truncate(40 << 20)\n    mmap.mmap(f.fileno(), 40 << 20)[:] = bytes(40 << 20)",
    ),
    Attempt(
        "disk-inodes",
        "makes 100,000 empty files",
        "def act():\n    for i in range(globals().get('COUNT', 100_000)): os.close(os.open(f'f{i}', os.O_CREAT, 0o600))\ntell_python(act)",
        NO_DISK,
        dies=("disk_limit",),
        control_variables={"COUNT": 1_000},
    ),
    Attempt(
        "disk-directories",
        "makes 100,000 directories",
        "def act():\n    for i in range(globals().get('COUNT', 100_000)): os.mkdir(f'd{i}')\ntell_python(act)",
        NO_DISK,
        dies=("disk_limit",),
        control_variables={"COUNT": 1_000},
    ),
    _time("time-loop", "loops in Python", "while time.process_time() < start + 0.6: pass"),
    _time("time-c", "stays in one call into C", "sum(range(50_000_000))"),
    _time("time-regex", "has a regular expression backtrack", "import re\nre.match('(a+)+$', 'a' * 24 + 'b')"),
    _time("time-hash", "fills a dictionary with colliding keys", "kept = {i * (2**61 - 1): 0 for i in range(9_000)}"),
    _time("time-integer", "multiplies large integers", "kept = [7 ** 900_000 for _ in range(10)]"),
    _time("time-sleep", "sleeps", "time.sleep(0.7)"),
    _time(
        "time-native-sleep",
        "sleeps in the kernel",
        "call('clock_nanosleep', 1, 0, (ctypes.c_long * 2)(0, 700_000_000), 0)",
    ),
    _time("time-poll", "waits in poll for ever", "call('poll', 0, 0, 700)"),
    _time(
        "time-deaf",
        "ignores every signal it can and loops",
        "for number in range(1, 32): libc.signal(number, ctypes.c_void_p(1))\nwhile time.process_time() < start + 0.6: pass",
    ),
    _time(
        "time-threads",
        "keeps native threads busy",
        "import threading\nfor _ in range(4): threading.Thread(target=lambda: np.random.default_rng(1).random(5_000_000).sort(), daemon=True).start()\ntime.sleep(0.7)",
    ),
    _time(
        "time-lock",
        "waits for a lock that nobody gives back",
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire(timeout=0.7)",
    ),
    _time(
        "time-exit-handler",
        "goes on in an exit handler",
        "import atexit\n@atexit.register\ndef last():\n    while time.process_time() < start + 0.6: pass\n    print(f'ESCAPE {ATTEMPT} reached OK')\nraise SystemExit",
    ),
    _time(
        "time-join",
        "leaves a thread that the interpreter waits for",
        "import threading\ndef stay():\n    time.sleep(0.7)\n    print(f'ESCAPE {ATTEMPT} reached OK')\nthreading.Thread(target=stay).start()\nraise SystemExit",
    ),
    _flood("flood-stdout", "prints 4 MiB", "for _ in range(64): print('x' * 65536)\nreached()"),
    _flood(
        "flood-native",
        "writes 4 MiB past Python",
        "data = bytes(65536).replace(b'\\0', b'y')\nfor _ in range(64): call('write', 1, data, 65536)\nprint()\nreached()",
    ),
    _flood("flood-lines", "prints 200,000 short lines", "import sys\nsys.stdout.write('line\\n' * 400_000)\nreached()"),
    _flood(
        "flood-error",
        "raises an exception with a message of 40 MiB",
        "reached()\nraise ValueError('x' * (40 << 20))",
        _WIRE,
    ),
    _flood(
        "flood-traceback",
        "raises from 100,000 causes",
        "reached()\nwhole = None\nfor _ in range(100_000):\n    now = ValueError('x' * 100)\n    now.__cause__ = whole\n    whole = now\nraise whole",
        _WIRE,
    ),
    _itself(
        "self-recursion",
        "recurses until the stack ends",
        "import sys\nsys.setrecursionlimit(10**8)\nclass A:\n    def __repr__(self): return repr([self])\n"
        "def deep(x): return deep(x) + sorted([1, 2], key=lambda _: deep(x))[0]\ndeep(0)",
        "crashed",
        "error",
        "memory_limit",
    ),
    _itself(
        "self-parser",
        "nests an expression deeply",
        "compile('(' * 200_000, 'x', 'exec')",
        "error",
        "crashed",
        "memory_limit",
    ),
    _itself("self-segfault", "reads address 0", "ctypes.string_at(0)", "crashed"),
    _itself("self-abort", "calls abort", "libc.abort()", "crashed"),
    _itself("self-exit", "leaves by exit_group", "call('exit_group', 0)", "crashed"),
    _itself("self-bad-instruction", "jumps to nowhere", "ctypes.CFUNCTYPE(None)(8)()", "crashed"),
    Attempt(
        "fork-bomb",
        "forks as often as it can (8 times here)",
        "pids = []\nfor _ in range(8):\n    pid = need(call('fork'))\n    if pid == 0: os._exit(0)\n    pids.append(pid)\n"
        "for pid in pids: os.waitpid(pid, 0)\nreached()",
    ),
)

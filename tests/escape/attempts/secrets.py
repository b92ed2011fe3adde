"""Looking for the key and for what others left behind, in memory, environment and descriptors."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from typing import Final

from tests.escape.record import NO_PROCESS, Attempt

_PLANTED: Final = bytes(range(7, 39))
_HEX_PLANT: Final = _PLANTED.hex().encode()

# No /proc: pages are probed with write(2), outwards from every address that the process knows. The needle is masked, so
# that looking for it does not put it into the memory that is looked at; each page is masked in one scratch page.
_SCAN: Final = '''
PAGE = 4096
reader, writer = os.pipe()
os.set_blocking(reader, False)
def mapped(page):
    there = call("write", writer, page, 1) == 1
    if there: os.read(reader, 1)
    return there
class Link(ctypes.Structure):
    pass
Link._fields_ = [("base", ctypes.c_uint64), ("name", ctypes.c_char_p), ("ld", ctypes.c_void_p), ("next", ctypes.POINTER(Link))]
libc.dlopen.restype = ctypes.c_void_p
seeds = [id(object()), id(os), id([0] * 10_000), ctypes.addressof(ctypes.create_string_buffer(1 << 20))]
seeds += [id(one) for one in list(globals().values())]
libc.sbrk.restype = ctypes.c_void_p
seeds.append(libc.sbrk(0) - 1)
seeds.append(ctypes.c_void_p.in_dll(libc, "environ").value)
link = ctypes.cast(libc.dlopen(None, 1), ctypes.POINTER(Link))
while link:
    seeds += [link.contents.base, link.contents.ld]
    link = link.contents.next
scratch = np.empty(64 * PAGE, np.uint8)
own = range(scratch.ctypes.data // PAGE - 1, scratch.ctypes.data // PAGE + 66)
libc.memmem.restype = ctypes.c_void_p
def holds(first, pages):
    """Whether the needle stands in these pages; they are looked at with a little overlap."""
    view = np.frombuffer((ctypes.c_uint8 * (pages * PAGE)).from_address(first * PAGE), np.uint8)
    np.bitwise_xor(view, 0x5A, out=scratch[: pages * PAGE])
    return bool(libc.memmem(ctypes.c_void_p(scratch.ctypes.data), ctypes.c_size_t(pages * PAGE), NEEDLE, ctypes.c_size_t(len(NEEDLE))))
seen, looked, found = set(own), 0, False
for seed in seeds:
    for step in (1, -1):
        page, missing, run = seed // PAGE if step > 0 else seed // PAGE - 1, 0, []
        while missing < 16 and looked < 150_000 and page > 0:
            if page in seen or not mapped(page * PAGE):
                if page in seen and page not in own: break
                missing += 1
                if run: found |= holds(min(run), len(run)); run = []
            else:
                seen.add(page); looked += 1; missing = 0; run.append(page)
                if len(run) == 64: found |= holds(min(run), 64); run = [page]
            page += step
        if run: found |= holds(min(run), len(run))
print("pages", looked, flush=True)
if looked < 5_000: refused("BLIND")
reached() if found else refused("NOTFOUND")
'''


def _scan(id: str, tries: str, needle: str, plant: bytes, mask_name: str) -> Attempt:
    """The control finds what was really there: a secret that came in on the job's own standard input."""
    return Attempt(
        id,
        tries,
        f"NEEDLE = {needle}" + _SCAN,
        ("NOTFOUND",),
        options={"timeout_s": 60.0},
        control_options={"stdin": plant},
        control_variables={mask_name: bytes(byte ^ 0x5A for byte in plant)},
    )


def _look(id: str, tries: str, code: str, refusals: tuple[str, ...] = NO_PROCESS, control: str = "reached") -> Attempt:
    return Attempt(id, tries, code, refusals, control=control)


_NEVER: Final = "the key is there in no mode, so nothing can be shown; the scan of the memory has a control"

ATTEMPTS = (
    _scan("scan-heap", "scans all of its memory for the key", "MASKED", _PLANTED, "MASKED"),
    _scan(
        "scan-heap-hexadecimal",
        "scans all of its memory for the key in hexadecimal",
        "MASKED_HEX",
        _HEX_PLANT,
        "MASKED_HEX",
    ),
    Attempt(
        "environment",
        "prints its environment and arguments, also those that libc holds",
        "import sys\nprint(dict(os.environ), sys.argv, sys.orig_argv)\nlist_ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\n"
        "index = 0\nwhile list_[index]:\n    print(list_[index]); index += 1\nreached()",
        (),
        control=_NEVER,
    ),
    Attempt(
        "stack-strings",
        "prints the arguments and environment as the kernel put them on the stack",
        "libc.getauxval.restype = ctypes.c_ulong\nwhere = libc.getauxval(31)\npage = where & ~4095\n"
        "print(ctypes.string_at(page, where - page + 32))\nreached()",
        (),
        control=_NEVER,
    ),
    Attempt(
        "python-bytes",
        "prints every 32-byte object that the collector or a module knows",
        "import gc\nfor one in gc.get_objects():\n    for inner in gc.get_referents(one):\n"
        "        if type(inner) in (bytes, bytearray) and len(inner) == 32: print(bytes(inner).hex())\nreached()",
        (),
        control=_NEVER,
    ),
    Attempt(
        "descriptors",
        "looks for a descriptor that is not its own: other than three streams and its channel",
        "import stat\nfor fd in range(3, 1024):\n    if call('fstat', fd, ctypes.create_string_buffer(256)) == 0 and not stat.S_ISSOCK(os.fstat(fd).st_mode):\n"
        "        reached(str(os.fstat(fd)))\n        break\nelse:\n    refused('NOTHING')",
        ("NOTHING",),
        control="the worker closes what it does not need in every mode",
    ),
    Attempt(
        "second-socket",
        "looks for a socket besides its channel",
        "import stat\nfound = [fd for fd in range(0, 1024) if call('fstat', fd, ctypes.create_string_buffer(256)) == 0 and stat.S_ISSOCK(os.fstat(fd).st_mode)]\n"
        "reached(str(found)) if len(found) > 1 else refused('NOTHING')",
        ("NOTHING",),
        control="the worker closes what it does not need in every mode",
    ),
    _look(
        "template-environ",
        "reads the template's environment",
        "tell(call('open', b'/proc/%d/environ' % os.getppid(), os.O_RDONLY))",
    ),
    _look(
        "template-cmdline",
        "reads the template's arguments",
        "tell(call('open', b'/proc/%d/cmdline' % os.getppid(), os.O_RDONLY))",
    ),
    _look(
        "template-descriptors",
        "lists the template's descriptors",
        "tell_python(lambda: os.listdir(f'/proc/{os.getppid()}/fd'))",
    ),
    _look(
        "template-maps",
        "reads the template's address space",
        "tell(call('open', b'/proc/%d/maps' % os.getppid(), os.O_RDONLY))",
    ),
    _look(
        "daemon-environ",
        "reads the daemon's environment",
        "tell(call('open', b'/proc/%d/environ' % DAEMON_PID, os.O_RDONLY))",
    ),
    _look(
        "daemon-cmdline",
        "reads the daemon's arguments",
        "tell(call('open', b'/proc/%d/cmdline' % DAEMON_PID, os.O_RDONLY))",
    ),
    _look(
        "daemon-descriptors",
        "lists the daemon's descriptors",
        "tell_python(lambda: os.listdir(f'/proc/{DAEMON_PID}/fd'))",
    ),
    _look(
        "own-proc",
        "lists itself in /proc, where it could learn of the host",
        "tell_python(lambda: os.listdir('/proc/self'))",
    ),
    Attempt(
        "key-through-proc",
        "reads the key through the daemon's root",
        "fd = need(call('open', b'/proc/%d/root' % DAEMON_PID + KEY_FILE.encode(), os.O_RDONLY))\n"
        "buffer = ctypes.create_string_buffer(32)\nneed(call('read', fd, buffer, 32))\nprint(buffer.raw.hex())\nreached()",
        NO_PROCESS,
        ("secret",),
    ),
    Attempt(
        "sibling-slots",
        "reads a file in another job's directory through its parent's",
        "try: names = os.listdir(RUNTIME_DIR + '/slots')\nexcept OSError as problem: refused(errno.errorcode[problem.errno])\n"
        "tell(call('open', (RUNTIME_DIR + '/slots/' + names[0]).encode(), os.O_RDONLY))",
        ("EACCES", "ENOENT", "EPERM"),
    ),
)

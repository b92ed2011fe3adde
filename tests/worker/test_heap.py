"""The template's heap moved out of the page tables: the same bytes at the same addresses, and nothing else changes.

Each test runs in an interpreter of its own, whose heap it moves.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tests.support import run_alone

from warmfork_worker.heap import Heap

BUILT = importlib.util.find_spec("warmfork_worker._heap") is not None

PRELUDE = """
import ctypes, hashlib, mmap, os, re, sys, threading
from warmfork_worker.heap import Heap
libc = ctypes.CDLL(None, use_errno=True)
libc.malloc.restype = libc.sbrk.restype = libc.mremap.restype = libc.realloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]

def resident(name, pid="self"):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(name + r":\\s+(\\d+)", status.read())[1]) * 1024

def in_child(act):
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(code: str) -> str:
    """What ``code`` printed in an interpreter of its own; it must end well. Skips where there is nothing that moves."""
    if not BUILT:
        pytest.skip("the native part was not built: no compiler here")
    return run_alone(PRELUDE + code)


@pytest.mark.parametrize("libraries", ["", "import numpy, pandas, matplotlib.pyplot"])
def test_every_byte_is_the_same(libraries: str) -> None:
    """The digest of all that moved is the same before and after, and megabytes moved."""
    out = run(f"""
{libraries}
kept = [bytes([number % 251]) * (number % 3000) for number in range(20_000)]
report = Heap(wanted=True).move(compare=True)
print(report.moved_bytes > 25_000_000, report.digests[0] == report.digests[1] != 0)
print(all(text == bytes([number % 251]) * (number % 3000) for number, text in enumerate(kept)))
print(sum(last - first for first, last in report.ranges) == report.moved_bytes)
""")
    assert "True True\nTrue\nTrue\n" == out


def test_a_fork_inherits_no_page_table_of_it() -> None:
    """With 200 MB loaded a child begins with less than 4 MB of anonymous memory, and its parent has no more."""
    out = run("""
kept = [b"x" * 1000 + bytes(number % 7) for number in range(200_000)]
Heap(wanted=True).move()
print(resident("RssAnon") < 4_000_000, in_child(lambda: os._exit(resident("RssAnon") > 4_000_000)))
""")
    assert "True 0\n" == out


def test_protections_stay() -> None:
    """Every address has the protection that it had: what was read-only is, and nothing became executable."""
    out = run("""
def protections():
    with open("/proc/self/maps") as maps:
        lines = [line.split(None, 5) for line in maps]
    return [(*(int(end, 16) for end in line[0].split("-")), line[1]) for line in lines]
heap = Heap(wanted=True)
before = protections()
report = heap.move()
after = protections()
def of(table, address):
    return next((kind for first, last, kind in table if first <= address < last), "not there yet")
pairs = {(of(before, first), of(after, first)) for first, _ in report.ranges}
print({("rw-p", "rw-p"), ("r--p", "r--p")} <= pairs <= {("rw-p", "rw-p"), ("r--p", "r--p"), ("not there yet", "rw-p")})
""")
    assert "True\n" == out


def test_what_a_child_writes_is_its_own() -> None:
    """A child that overwrites moved memory changes neither its parent's nor a later sibling's."""
    out = run("""
small = [bytearray(b"template") for _ in range(50_000)]
Heap(wanted=True).move()
def spoil():
    for text in small:
        text[:] = b"spoiled!"
    assert resident("RssAnon") > 2_000_000
def look():
    assert all(text == b"template" for text in small)
print(in_child(spoil), in_child(look), in_child(spoil))
look()
""")
    assert "0 0 0\n" == out


@pytest.mark.parametrize("where", ["run()", "print(in_child(run) == 0)"])
def test_malloc_grows_and_shrinks(where: str) -> None:
    """brk goes on where the moved heap ends, in the template and in a worker: grown, written, trimmed, grown again."""
    out = run(f"""
Heap(wanted=True).move()
def run():
    libc.sbrk.argtypes = [ctypes.c_ssize_t]
    for least in (10_000_000, 0):
        before = libc.sbrk(0)
        blocks = [libc.malloc(5_000) for _ in range(4_000)]
        for number, block in enumerate(blocks):
            ctypes.memset(block, number % 256, 5_000)
        assert libc.sbrk(0) - before > least
        assert all(ctypes.string_at(block, 5_000) == bytes([number % 256]) * 5_000 for number, block in enumerate(blocks))
        for block in blocks:
            libc.free(block)
        libc.malloc_trim(0)
    kept = [str(number) * 10 for number in range(200_000)]
    assert all(text == str(number) * 10 for number, text in enumerate(kept))
{where}
""")
    assert out in ("", "True\n")


def test_a_moved_block_can_be_reallocated() -> None:
    """realloc of blocks that malloc had mapped by themselves, larger and smaller, keeps their bytes."""
    out = run("""
sizes = [200_000 + 50_000 * number for number in range(30)]
blocks = [libc.malloc(size) for size in sizes]
for number, (block, size) in enumerate(zip(blocks, sizes)):
    ctypes.memset(block, number + 1, size)
report = Heap(wanted=True).move()
print(sum(any(first <= block + 100_000 < last for first, last in report.ranges) for block in blocks) > 20)
def resize(step):
    for number, size in enumerate(sizes):
        kept = min(size, size + step)
        block = libc.realloc(blocks[number], size + step)
        assert ctypes.string_at(block, kept) == bytes([number + 1]) * kept
        ctypes.memset(block, 255, size + step)
        libc.free(block)
print(in_child(lambda: resize(40_000_000)), in_child(lambda: resize(-140_000)), in_child(lambda: resize(4_096)))
""")
    assert "True\n0 0 0\n" == out


def test_the_file_cannot_grow() -> None:
    """A job that stretches a mapping past the file's end meets SIGBUS; it cannot make the kernel add pages to the file."""
    out = run("""
report = Heap(wanted=True).move()
first, last = report.ranges[-1]
def stretch():
    moved = libc.mremap(first, last - first, last - first + (1 << 20), 1)
    assert moved not in (None, ctypes.c_void_p(-1).value), ctypes.get_errno()
    ctypes.string_at(moved + last - first, 1)
print(in_child(stretch))
""")
    assert f"{-signal.SIGBUS}\n" == out


def test_threads_are_refused() -> None:
    """With a second thread nothing is moved, and the reason counts them."""
    out = run("""
leave = threading.Event()
threading.Thread(target=leave.wait).start()
print(Heap(wanted=True).move(), "memfd" in open("/proc/self/maps").read())
leave.set()
""")
    assert "HeapReport(moved_bytes=0, detail='this process has 2 threads', ranges=(), digests=(0, 0)) False\n" == out


def test_only_once() -> None:
    """A second move is refused, by whichever object it is asked of, and in a child."""
    out = run("""
heap = Heap(wanted=True)
heap.move()
print(heap.move().detail, Heap(wanted=True).move().detail, sep="\\n", flush=True)
in_child(lambda: print(Heap(wanted=True).move().detail, flush=True))
""")
    assert "it was moved before\n" * 3 == out


HUGE = """
def in_kib(name):
    return sum(map(int, re.findall(name + r":\\s+(\\d+)", open("/proc/self/smaps").read())))
block = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block.madvise(mmap.MADV_HUGEPAGE)
block[:] = bytes(range(1, 129)) * (len(block) // 128)
address = ctypes.addressof(ctypes.c_char.from_buffer(block)) + (32 << 20)
huge = in_kib("AnonHugePages") >= 48 << 10
report = Heap(wanted=True).move(compare=True)
moved = any(first <= address < last for first, last in report.ranges)
if not huge or "huge pages stay" in report.detail:
    print("no huge pages to be had" if not huge else "this kernel cannot make pages of a file huge")
    sys.exit()
"""


def test_big_arrays_on_huge_pages_stay_on_huge_pages() -> None:
    """They move, byte for byte, and the file's pages are huge in their place: a child reads them with few faults."""
    out = run(f"""{HUGE}
def read():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert sum(block[::4096]) == len(block) // 4096
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 300, resource.getrusage(resource.RUSAGE_SELF)
import resource
print(moved, report.digests[0] == report.digests[1], "of it on huge pages" in report.detail, "any more" in report.detail)
print(in_kib("AnonHugePages") < 8 << 10, in_kib("ShmemPmdMapped") >= 48 << 10, in_child(read))
""")
    if "huge" in out.splitlines()[0]:
        pytest.skip(out.strip())
    assert "True True True False\nTrue True 0\n" == out


def test_small_pages_lie_on_huge_ones_of_the_file() -> None:
    """A fork copies, and an exit takes down, the entries of one huge page in one go; as many as there is time and memory for."""
    out = run("""
import numpy
report = Heap(wanted=True).move(compare=True)
print(report.moved_bytes >> 20, report.digests[0] == report.digests[1], report.detail)
""")
    told = re.fullmatch(r"(\d+) True \d+ MiB in \d+ pieces(?:, (\d+) MiB of it on huge pages)?\n", out)
    assert told is not None, out
    if told[2] is None:
        pytest.skip("this kernel makes no pages of a file huge (MADV_COLLAPSE, Linux 6.1), or has none")
    assert 0 < int(told[2]) <= int(told[1])


def test_a_write_to_a_huge_page_is_the_childs_own() -> None:
    """It copies one small page; the parent, another child and the pages around it see nothing of it."""
    out = run(f"""{HUGE}
before = block[:]
def write():
    block[32 << 20] = 0
    assert block[: 32 << 20] == before[: 32 << 20] and block[(32 << 20) + 1 :] == before[(32 << 20) + 1 :]
print(in_child(write), block[:] == before, in_child(lambda: os._exit(block[:] != before)))
""")
    if "huge" in out.splitlines()[0]:
        pytest.skip(out.strip())
    assert "0 True 0\n" == out


def test_what_must_not_move_stays() -> None:
    """Shared, locked, do-not-fork and wiped-on-fork memory stays, and so does the stack."""
    out = run("""
MIB = 1 << 20
def mapped(flags, *advice):
    block = mmap.mmap(-1, MIB, flags=flags | mmap.MAP_ANONYMOUS)
    for one in advice:
        block.madvise(one)
    block[:] = b"x" * MIB
    return block
blocks = {
    "plain": mapped(mmap.MAP_PRIVATE),
    "shared": mapped(mmap.MAP_SHARED),
    "not forked": mapped(mmap.MAP_PRIVATE, mmap.MADV_DONTFORK),
    "wiped": mapped(mmap.MAP_PRIVATE, 18),
    "locked": mapped(mmap.MAP_PRIVATE),
}
places = {name: ctypes.addressof(ctypes.c_char.from_buffer(block)) + MIB // 2 for name, block in blocks.items()}
libc.mlock(ctypes.c_void_p(places["locked"] - MIB // 2), ctypes.c_size_t(MIB))
report = Heap(wanted=True).move()
print([name for name, place in places.items() if any(first <= place < last for first, last in report.ranges)])
print(re.search(r"\\[stack\\]", open("/proc/self/maps").read())[0], all(block[:] == b"x" * MIB for block in blocks.values()))
""")
    assert "['plain']\n[stack] True\n" == out


def test_zeros_that_were_only_read_take_no_memory() -> None:
    """Anonymous memory that was read and never written is nobody's memory, and does not become the file's."""
    out = run("""
block = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block[0] = block[-1] = 7
sum(block[::4096])
print(Heap(wanted=True).move().moved_bytes < 100 << 20, sum(block[1::4096]), block[0], block[-1])
""")
    assert "True 0 7 7\n" == out


@pytest.mark.parametrize(("most", "moves"), [(-3000, False), (0, False), (1 << 40, True)])
def test_the_number_of_mappings_is_bounded(most: int, moves: bool) -> None:
    """Where the system allows fewer mappings than are to be kept free, nothing moves: the bound does not turn over."""
    out = run(f"""
import warmfork_worker._heap as heap
fds = [os.open(f"/proc/self/{{name}}", os.O_RDONLY) for name in ("smaps", "pagemap", "task")]
try:
    print(heap.move(*fds, {most}, 16)["bytes"] > 0)
except OSError as problem:
    print(problem)
""")
    assert ("True\n" == out) == moves
    assert moves or re.fullmatch(r"\d+ mappings would become up to \d+, where the system allows 0\n", out)


def test_with_jemalloc_nothing_moves(tmp_path: Path) -> None:
    """Whether a library brings it is seen before code and constants are joined, and stays known."""
    library = tmp_path / "allocator.so"
    library.write_bytes(bytes(5000) + b"<jemalloc>: Error" + bytes(40_000))
    out = run(f"""
from warmfork_worker.mappings import Mappings
with open({str(library)!r}, "rb") as file:
    constants = mmap.mmap(file.fileno(), 16384, mmap.MAP_PRIVATE, mmap.PROT_READ)
heap, mappings = Heap(wanted=True), Mappings(wanted=True)
heap.look()
mappings.join()
for _ in range(2):
    report = heap.move()
    print(report.moved_bytes, report.detail)
constants.close()
other = Heap(wanted=True)
other.look()
print(other.move().moved_bytes > 1 << 20)
""")
    why = "0 a preloaded library brings jemalloc, which needs discarded pages to be zero\n"
    assert f"{why}{why}True\n" == out


def test_switched_off() -> None:
    """Where it is not wanted, the reason names the setting."""
    assert (0, "switched off (pool.heap_memfd)") == (
        (report := Heap(wanted=False).move()).moved_bytes,
        report.detail,
    )


def test_without_the_native_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install without a compiler says so, and moves nothing."""
    monkeypatch.setitem(sys.modules, "warmfork_worker._heap", None)
    report = Heap(wanted=True).move()
    assert 0 == report.moved_bytes
    assert report.detail.startswith("its native part was not built when warmfork was installed (")


def test_with_a_native_part_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout that was updated and not installed again the heap stays where it is, and the template lives."""
    old = types.ModuleType("warmfork_worker._heap")
    old.__dict__["move"] = lambda *_: None
    monkeypatch.setitem(sys.modules, "warmfork_worker._heap", old)
    report = Heap(wanted=True).move()
    assert 0 == report.moved_bytes
    assert "was not built" in report.detail


def test_a_failed_build_is_no_failed_install(tmp_path: Path) -> None:
    """The build hook goes on where the compiler fails, and the wheel is a pure one."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root, env={**os.environ, "CC": "/bin/false"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if re.search("No module named '?hatchling", done.stderr):
        pytest.skip("hatchling is not installed here")
    assert 0 == done.returncode, done.stderr
    assert "without its native parts" in done.stdout + done.stderr
    assert [True] == [path.name.endswith("-py3-none-any.whl") for path in tmp_path.iterdir()]

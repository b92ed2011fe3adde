"""Code and constants of a library become one mapping: the same bytes at the same addresses, and nothing writable among them."""

from __future__ import annotations

import _ctypes
import shutil
from pathlib import Path

import pytest
from tests.support import run_alone

from warmfork_worker.mappings import Mapping, Mappings, mappings_of, side_by_side

PRELUDE = """
import hashlib, os, re, sys
from warmfork_worker.mappings import Mappings

def maps():
    with open("/proc/self/maps") as lines:
        found = [re.match(r"(\\w+)-(\\w+) (\\S+) \\S+ \\S+ \\d+ *(.*)", line).groups() for line in lines]
    return [(int(start, 16), int(end, 16), rights, path) for start, end, rights, path in found]

def of_files(table):
    return [row for row in table if row[3].startswith("/")]

def digest(rows):
    with open("/proc/self/mem", "rb") as memory:
        whole = hashlib.sha256()
        for start, end, rights, _ in rows:
            if rights[:2] != "--":
                memory.seek(start)
                whole.update(memory.read(end - start))
    return whole.hexdigest()
"""


def mapping(
    start: int, end: int, rights: str, offset: int, *, own_bytes: int = 0, inode: int = 7, is_plain: bool = True
) -> Mapping:
    return Mapping(start, end, rights.encode(), offset, (b"08:01", inode), b"/lib/a.so", own_bytes, is_plain)


def test_what_proc_tells_is_read() -> None:
    """Only what is of a file, with how much of it is the process's own by now."""
    text = (
        b"7f00-9f00 r-xp 00001000 fe:0a 95595                      /usr/lib/a b.so\n"
        b"Rss:                   4 kB\nAnonymous:            12 kB\nSwap:                  8 kB\nSwapPss:       8 kB\n"
        b"VmFlags: rd ex mr mw me \n"
        b"9f00-af00 rw-p 00000000 00:00 0 \nAnonymous:            4 kB\nVmFlags: rd wr \n"
        b"af00-bf00 rw-p 00000000 00:00 0                          [heap]\nAnonymous:            4 kB\nVmFlags: rd wr \n"
        b"bf00-cf00 r-xp 00000000 fe:0a 95595                      /usr/lib/a b.so\n"
        b"Anonymous:             0 kB\nSwap:                  0 kB\nVmFlags: rd ex mr mw me bt \n"
    )
    assert [
        Mapping(0x7F00, 0x9F00, b"r-xp", 0x1000, (b"fe:0a", 95595), b"/usr/lib/a b.so", 20 << 10, True),
        Mapping(0xBF00, 0xCF00, b"r-xp", 0, (b"fe:0a", 95595), b"/usr/lib/a b.so", 0, False),
    ] == list(mappings_of(text.splitlines(keepends=True)))


def test_constants_code_constants_are_one() -> None:
    """As a linker lays them out; the data after them stays by itself."""
    parts = [mapping(10, 20, "r--p", 0), mapping(20, 50, "r-xp", 10), mapping(50, 60, "r--p", 40)]
    data = [mapping(60, 70, "r--p", 49, own_bytes=4096), mapping(70, 80, "rw-p", 59, own_bytes=4096)]
    assert [parts] == list(side_by_side([*parts, *data]))
    assert [parts, parts] == list(side_by_side([*parts, *data, *parts]))


@pytest.mark.parametrize(
    "second",
    [
        mapping(21, 50, "r-xp", 10),
        mapping(20, 50, "r-xp", 11),
        mapping(20, 50, "r-xp", 10, inode=8),
        mapping(20, 50, "r-xp", 10, own_bytes=4096),
        mapping(20, 50, "rw-p", 10),
        mapping(20, 50, "rwxp", 10),
        mapping(20, 50, "r-xs", 10),
        mapping(20, 50, "---p", 10),
        mapping(20, 50, "r--p", 10),
        mapping(20, 50, "r-xp", 10, is_plain=False),
    ],
    ids=[
        "hole",
        "other place",
        "other file",
        "written to",
        "writable",
        "both",
        "shared",
        "nothing",
        "no code",
        "flags",
    ],
)
def test_what_is_not_side_by_side_stays(second: Mapping) -> None:
    """Whatever differs in more than the right to run."""
    assert [] == list(side_by_side([mapping(10, 20, "r--p", 0), second]))


def test_every_byte_is_the_same_and_libraries_work() -> None:
    """Many mappings fewer, the same contents at the same places, also in a fork; what may be written is what could be before."""
    out = run_alone(
        PRELUDE
        + """
import ctypes, numpy, pandas, matplotlib.backends.backend_agg
mappings = Mappings(wanted=True)
before = maps()
kept = [row for row in of_files(before) if "w" not in row[2] and ".so" in row[3]]
told = digest(kept)
report = mappings.join()
after = maps()
print(report.joined > 50, report.joined == len(of_files(before)) - len(of_files(after)) or (len(before), len(after)))
print(told == digest(kept))
def writable(table):
    return {(page, row[2]) for row in of_files(table) if "w" in row[2] for page in range(row[0], row[1], 4096)}
print(writable(before) == writable(after), not [row for row in after if "w" in row[2] and "x" in row[2]])
print(numpy.linalg.solve(numpy.eye(3) * 2, numpy.ones(3)).tolist(), pandas.DataFrame({"a": [1, 1]}).groupby("a").size().tolist())
pid = os.fork()
if not pid:
    os._exit(not (told == digest(kept) and numpy.arange(1000).sum() == 499500))
told = re.fullmatch(r"\\d+ of \\d+ joined to their neighbours", report.detail)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told is not None)
print(mappings.join())
"""
    )
    expected = "True True\nTrue\nTrue True\n[0.5, 0.5, 0.5] [2]\n0 True\n"
    assert f"{expected}JoinReport(joined=0, detail='they were joined before')\n" == out


@pytest.mark.parametrize("how", ["replaced", "gone", "deleted and made anew", "a pipe"])
def test_a_library_whose_file_is_another_by_now_stays(tmp_path: Path, how: str) -> None:
    """An upgrade while the template runs: the bytes that were loaded are the ones that stay."""
    library = tmp_path / "library.so"
    shutil.copy(_ctypes.__file__, library)
    change = {
        "replaced": "open(path + '.new', 'wb').write(bytes(1 << 20)); os.replace(path + '.new', path)",
        "gone": "os.unlink(path)",
        "deleted and made anew": "os.unlink(path); open(path, 'wb').write(bytes(1 << 20))",
        "a pipe": "os.unlink(path); os.mkfifo(path)",
    }[how]
    out = run_alone(
        PRELUDE
        + f"""
import ctypes
path = {str(library)!r}
ctypes.CDLL(path)
rows = [row for row in maps() if path in row[3]]
told = digest(rows)
{change}
Mappings(wanted=True).join()
now = [row for row in maps() if path in row[3]]
print(len(rows) > 2, [row[:3] for row in rows] == [row[:3] for row in now], told == digest(now))
"""
    )
    assert "True True True\n" == out


def test_without_descriptors_nothing_is_lost() -> None:
    """A library whose file cannot be opened stays as it is."""
    out = run_alone(
        PRELUDE
        + """
import resource
mappings = Mappings(wanted=True)
before = maps()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
report = mappings.join()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
print(report.joined, [row[:3] for row in of_files(before)] == [row[:3] for row in of_files(maps())])
"""
    )
    assert "0 True\n" == out


def test_switched_off() -> None:
    """Nothing is looked at, and the reason names the setting."""
    report = Mappings(wanted=False).join()
    assert (0, "switched off (pool.joined_mappings)") == (report.joined, report.detail)


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be looked at stays as it is, and the reason is told."""

    def refuse(name: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("warmfork_worker.kernel.proc.open_own", refuse)
    assert "/proc/self cannot be read: Permission denied" == Mappings(wanted=True).join().detail

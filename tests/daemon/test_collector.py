"""The collector takes regular files of a hostile directory, follows nothing, waits for nothing and counts honestly."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.daemon.collecting import DEPTH_MAX, MIB, collected, open_descriptors, opened
from tests.support import PACKAGE_PATHS

from warmfork_daemon.collector import Collected, collect, is_empty


def test_nothing(work: Path) -> None:
    """An empty directory gives nothing and drops nothing."""
    assert Collected({}, 0) == collected(work)


def test_files_of_all_levels_in_order_of_path(work: Path) -> None:
    """Regular files come with their relative paths; directories themselves are neither files nor dropped."""
    for name in ("b.txt", "sub/c.txt", "sub/deeper/d", "a.csv"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(name.encode())
    (work / "empty").mkdir()
    found = collected(work)
    assert ["a.csv", "b.txt", "sub/c.txt", "sub/deeper/d"] == list(found.files)
    assert {name: name.encode() for name in found.files} == found.files
    assert 0 == found.dropped


def test_is_empty_sees_any_entry_and_disturbs_nothing(work: Path) -> None:
    """One look at the descriptor does not change what the next one sees."""
    with opened(work) as fd:
        assert is_empty(fd)
        for number in range(20):
            (work / str(number)).write_bytes(b"x")
        assert not is_empty(fd)
        assert not is_empty(fd)
        twice = [collect(fd, {}, files_max=100, file_bytes_max=MIB, bytes_max=MIB) for _ in range(2)]
    assert [20, 20] == [len(found.files) for found in twice]


@pytest.mark.parametrize("name", [".hidden", "link", "dir"])
def test_is_empty_counts_every_kind(work: Path, name: str) -> None:
    """Hidden files, dangling links and directories are entries."""
    target = work / name
    {".hidden": target.touch, "link": lambda: target.symlink_to("nowhere"), "dir": target.mkdir}[name]()
    with opened(work) as fd:
        assert not is_empty(fd)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory on a tmpfs, as the slots of guarded workers are."""
    kinds = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    found = [place for place, kind in kinds if kind == "tmpfs" and os.access(place, os.W_OK)]
    if not found:
        pytest.skip("no tmpfs is mounted that can be written to")
    with tempfile.TemporaryDirectory(dir=found[0]) as name:
        yield Path(name)


def test_the_size_of_a_tmpfs_directory_tells_whether_it_is_empty(in_memory: Path) -> None:
    """Every kind of entry adds to it, also one that was renamed, and what is taken out again does not."""
    with opened(in_memory) as fd:
        empty_bytes = os.fstat(fd).st_size
        assert is_empty(fd, empty_bytes)
        for make in ("mkdir", "touch", "link", "move"):
            target = in_memory / "entry"
            if make == "mkdir":
                target.mkdir()
            elif make == "touch":
                target.touch()
            elif make == "link":
                target.symlink_to("nowhere")
            else:
                (in_memory / "before").touch()
                (in_memory / "before").rename(target)
            assert not is_empty(fd, empty_bytes)
            target.rmdir() if make == "mkdir" else target.unlink()
            assert is_empty(fd, empty_bytes)


@pytest.mark.parametrize(
    "target",
    ["inside.txt", "inside", "/etc/passwd", "/", "../outside", "nowhere", "link", ".", "/dev/zero"]
    + [f"/proc/self/{name}" for name in ("fd/0", "exe", "cwd", "root/etc/passwd")],
)
def test_no_link_is_followed(work: Path, target: str) -> None:
    """Links to files, directories, the outside, nothing and themselves are dropped, one each."""
    (work.parent / "outside").write_bytes(b"secret")
    (work / "inside.txt").write_bytes(b"in")
    (work / "inside").mkdir()
    (work / "inside" / "x").write_bytes(b"x")
    (work / "link").symlink_to(target)
    found = collected(work)
    assert ({"inside.txt": b"in", "inside/x": b"x"}, 1) == (found.files, found.dropped)


def test_a_file_of_two_names_is_dropped(work: Path) -> None:
    """No worker can make a hard link, so the other name was made by somebody else: neither name comes back."""
    (work / "one").write_bytes(b"same")
    os.link(work / "one", work / "two")
    (work / "three").write_bytes(b"own")
    assert Collected({"three": b"own"}, 2) == collected(work)


def test_a_hard_link_to_a_file_outside_is_dropped(work: Path) -> None:
    """What somebody linked in from outside does not travel, though the daemon could read it."""
    (work.parent / "outside").write_bytes(b"secret")
    os.chmod(work.parent / "outside", 0o600)
    os.link(work.parent / "outside", work / "inside")
    assert Collected({}, 1) == collected(work)


def test_what_is_no_regular_file_is_dropped_without_waiting(work: Path) -> None:
    """FIFOs without a writer and sockets neither hold the daemon nor come back."""
    os.mkfifo(work / "fifo")
    with socket.socket(socket.AF_UNIX) as listener, opened(work) as fd:
        listener.bind(f"/proc/self/fd/{fd}/socket")  # the path itself may be longer than a socket's may be
        (work / "z.txt").write_bytes(b"z")
        assert Collected({"z.txt": b"z"}, 2) == collected(work)


def test_a_fifo_is_not_read(work: Path) -> None:
    """A FIFO with bytes in it keeps them."""
    os.mkfifo(work / "fifo")
    fd = os.open(work / "fifo", os.O_RDWR)
    try:
        os.write(fd, b"kept")
        assert Collected({}, 1) == collected(work)
        assert b"kept" == os.read(fd, 10)
    finally:
        os.close(fd)


def test_devices_are_dropped(work: Path) -> None:
    """An endless device is looked at, not read."""
    try:
        os.mknod(work / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        os.close(os.open(work / "zero", os.O_RDONLY))
    except OSError:
        pytest.skip("this process may not make or open devices here")
    assert Collected({}, 1) == collected(work)


def test_what_is_no_file_is_not_even_opened(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening alone can do something (rewind a tape, wake a writer): only regular files and directories are opened."""
    os.mkfifo(work / "fifo")
    (work / "link").symlink_to("fifo")
    with contextlib.suppress(OSError):
        os.mknod(work / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (work / "file").write_bytes(b"f")
    opened_names, real_open = [], os.open

    def counting(name: str, flags: int, **options: int) -> int:
        opened_names.append(name)
        assert flags & os.O_NOCTTY
        return real_open(name, flags, **options)

    with opened(work) as fd:
        monkeypatch.setattr(os, "open", counting)
        found = collect(fd, {}, files_max=10, file_bytes_max=MIB, bytes_max=MIB)
    assert (["file"], {"file": b"f"}) == (opened_names, found.files)


def test_depth_is_bounded(work: Path) -> None:
    """Files below eight levels come back; a deeper directory is dropped as one entry and not entered."""
    parts = [f"d{level}" for level in range(1, 13)]
    for level in range(1, 13):
        directory = work.joinpath(*parts[:level])
        directory.mkdir()
        (directory / "file").write_bytes(b"%d" % level)
    found = collected(work)
    assert {"/".join([*parts[:level], "file"]): b"%d" % level for level in range(1, DEPTH_MAX)} == found.files
    assert 1 == found.dropped


def test_entries_are_bounded_and_all_counted(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5,000 files at most files_max come back, only a bounded number is opened, and every other one is counted."""
    for number in range(5_000):
        os.close(os.open(work / f"{number:05}", os.O_CREAT | os.O_WRONLY))
    opens = []
    real_open = os.open

    def counting(*arguments: object, **options: object) -> int:
        opens.append(arguments)
        return real_open(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    with opened(work) as fd:
        monkeypatch.setattr(os, "open", counting)
        found = collect(fd, {}, files_max=10, file_bytes_max=MIB, bytes_max=MIB)
    assert (10, 4_990) == (len(found.files), found.dropped)
    assert len(opens) <= 4 * 10 + 64


def test_entries_are_bounded_over_all_directories(work: Path) -> None:
    """Spreading files over directories gains nothing: the bound is for the whole tree."""
    for outer in range(20):
        (work / f"{outer:02}").mkdir()
        for inner in range(20):
            (work / f"{outer:02}" / f"{inner:02}").touch()
    found = collected(work, files_max=1)
    assert (1, 399) == (len(found.files), found.dropped)


def test_no_file_is_allowed(work: Path) -> None:
    """With files_max 0 every file is dropped, an empty one too."""
    (work / "a").touch()
    (work / "b").write_bytes(b"b")
    assert Collected({}, 2) == collected(work, files_max=0)


def test_no_more_is_read_than_the_bound(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes read from a directory of many files are at most what may come back."""
    for number in range(50):
        (work / f"{number:02}").write_bytes(bytes(1_000))
    count, real_read = [], os.read

    def counting(fd: int, size: int) -> bytes:
        data = real_read(fd, size)
        count.append(len(data))
        return data

    monkeypatch.setattr(os, "read", counting)
    found = collected(work, bytes_max=10_500)
    assert (10, 40, 10_000) == (len(found.files), found.dropped, sum(count))


def test_short_reads_are_put_together(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that returns less than asked is continued."""
    (work / "a").write_bytes(bytes(range(256)))
    real = os.read
    monkeypatch.setattr(os, "read", lambda fd, size: real(fd, min(size, 7)))
    assert {"a": bytes(range(256))} == collected(work).files


@pytest.mark.parametrize("view", [bytes, memoryview])
def test_given_files_come_back_only_when_changed(work: Path, view: Callable[[bytes], bytes | memoryview]) -> None:
    """The same bytes are left out, changed, longer, shorter and renamed ones are not; a removed one is no matter."""
    given = {name: view(b"12345") for name in ("same", "changed", "longer", "shorter", "removed", "sub/same")}
    (work / "sub").mkdir()
    for name, data in {
        "same": b"12345",
        "changed": b"12346",
        "longer": b"123456",
        "shorter": b"1234",
        "renamed": b"12345",
        "sub/same": b"12345",
    }.items():
        (work / name).write_bytes(data)
    found = collected(work, given)
    assert ["changed", "longer", "renamed", "shorter"] == list(found.files)
    assert 0 == found.dropped


def test_a_given_file_touched_or_replaced_by_the_same_is_unchanged(work: Path) -> None:
    """Bytes decide, not times or inodes."""
    (work / "a").write_bytes(b"12345")
    os.utime(work / "a", (1, 1))
    (work / "b").write_bytes(b"12345")
    os.replace(work / "b", work / "a")
    assert Collected({}, 0) == collected(work, {"a": b"12345"})


def test_a_given_file_replaced_by_a_link_is_dropped(work: Path) -> None:
    """A link does not pass as the file it leads to."""
    (work / "real").write_bytes(b"12345")
    (work / "a").symlink_to("real")
    assert Collected({"real": b"12345"}, 1) == collected(work, {"a": b"12345"})


def test_an_unchanged_given_file_takes_no_budget(work: Path) -> None:
    """What is left out leaves its room to others."""
    (work / "a").write_bytes(b"x" * 100)
    (work / "b").write_bytes(b"y" * 100)
    assert Collected({"b": b"y" * 100}, 0) == collected(work, {"a": b"x" * 100}, files_max=1, bytes_max=100)


@pytest.mark.parametrize(
    "bounds", [{"files_max": 1}, {"bytes_max": 100}, {"file_bytes_max": 100}], ids=lambda bounds: next(iter(bounds))
)
def test_an_unchanged_given_file_is_never_dropped(work: Path, bounds: dict[str, int]) -> None:
    """Counts are honest: a file that the client sent and has still is no loss when the bounds are used up."""
    (work / "a").write_bytes(b"n" * 100)
    (work / "z").write_bytes(b"g" * 200)
    assert Collected({"a": b"n" * 100}, 0) == collected(work, {"z": b"g" * 200}, **bounds)


def test_a_deep_unchanged_given_file_is_not_dropped(work: Path) -> None:
    """A file sent along may lie as deep as names may travel (16 levels); untouched, it is not counted as lost."""
    name = "/".join([*"abcdefghij", "file"])
    (work / name).parent.mkdir(parents=True)
    (work / name).write_bytes(b"x")
    assert Collected({}, 0) == collected(work, {name: b"x"})


def test_bytes_are_bounded_each_and_together(work: Path) -> None:
    """A file over either bound is dropped; a smaller one after it still fits."""
    for name, size in {"a": 60, "b": 50, "c": 41, "d": 40, "e": 0, "f": 1}.items():
        (work / name).write_bytes(name.encode() * size)
    found = collected(work, file_bytes_max=50, bytes_max=90)
    assert ({"b": 50, "d": 40, "e": 0}, 3) == ({name: len(data) for name, data in found.files.items()}, found.dropped)


def test_no_descriptor_is_left_open(work: Path) -> None:
    """Whatever was met, everything opened is closed."""
    os.mkfifo(work / "fifo")
    (work / "sub" / "sub").mkdir(parents=True)
    (work / "link").symlink_to("/")
    for name in ("a", "sub/b", "sub/sub/c"):
        (work / name).write_bytes(b"x")
    before = open_descriptors()
    for files_max in (0, 1, 100):
        collected(work, files_max=files_max)
    assert before == open_descriptors()


_UNPRIVILEGED = """
import os, sys
from warmfork_daemon.collector import collect
os.umask(0)
fd = os.open(sys.argv[1], os.O_RDONLY)
if os.geteuid() == 0:
    os.fchown(fd, 65534, 65534)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.fchdir(fd)
for name, mode in {"closed": 0, "only_written": 0o200, "open": 0o400}.items():
    with open(name, "wb") as file:
        file.write(name.encode())
    os.chmod(name, mode)
for name, mode in {"no_list": 0o300, "no_enter": 0o600, "shut": 0, "fine": 0o500}.items():
    os.mkdir(name)
    with open(name + "/file", "wb") as file:
        file.write(name.encode())
    os.chmod(name, mode)
found = collect(fd, {}, files_max=100, file_bytes_max=1000, bytes_max=1000)
for name in ("no_list", "no_enter", "shut", "fine"):
    os.chmod(name, 0o700)
print(sorted(found.files), found.dropped)
"""


def test_what_may_not_be_read_is_dropped(work: Path) -> None:
    """For a daemon that is not root, unreadable files and directories are dropped, one each, and the rest comes.

    Dropped are two files, the two directories that cannot be listed, and the file below the one that cannot be entered.
    """
    done = subprocess.run(
        [sys.executable, "-c", _UNPRIVILEGED, str(work)],
        env={"PYTHONPATH": PACKAGE_PATHS, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert ("['fine/file', 'open'] 5", "") == (done.stdout.strip(), done.stderr)

"""Giants, depths, names, races and failures: whatever a job leaves behind, the collector is done soon and within bounds."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.daemon.collecting import MIB, collected, open_descriptors, opened

from warmfork_daemon import collector
from warmfork_daemon.collector import Collected, collect


def test_a_sparse_giant_is_never_read(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a TiB that takes no disk is dropped by its size alone."""
    with open(work / "giant", "wb") as giant:
        giant.truncate(1 << 40)
    monkeypatch.setattr(collector, "_read", lambda fd, size: pytest.fail("it was read"))
    assert Collected({}, 1) == collected(work)


def test_sparse_giants_on_a_tmpfs_are_never_read(tmpfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a slot is a tmpfs, files of a TiB are dropped likewise, however many there are."""
    for number in range(20):
        with open(tmpfs / str(number), "wb") as giant:
            giant.truncate(1 << 40)
    monkeypatch.setattr(collector, "_read", lambda fd, size: pytest.fail("it was read"))
    assert Collected({}, 20) == collected(tmpfs)


def test_a_sparse_file_within_the_bounds_is_zeros(work: Path) -> None:
    """Holes are read as what they are."""
    with open(work / "holes", "wb") as holes:
        holes.truncate(5_000)
    assert {"holes": bytes(5_000)} == collected(work).files


def test_a_very_deep_tree_costs_nothing(tmpfs: Path) -> None:
    """A tree deeper than Python's recursion and than any path is dropped at the bound; no descriptor is left open."""
    fd = os.open(tmpfs, os.O_RDONLY)
    for _ in range(10_000):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    before = open_descriptors()
    assert Collected({}, 1) == collected(tmpfs)
    assert before == open_descriptors()
    _remove_deep(tmpfs)


def _remove_deep(work: Path) -> None:
    """Take a deep tree apart from its top, because nothing that recurses over paths can."""
    fd = os.open(work, os.O_RDONLY)
    try:
        for number in itertools.count():
            try:
                os.rename("d", f"t{number}", src_dir_fd=fd, dst_dir_fd=fd)
            except FileNotFoundError:
                break
            inner = os.open(f"t{number}", os.O_RDONLY, dir_fd=fd)
            with contextlib.suppress(FileNotFoundError):
                os.rename("d", "d", src_dir_fd=inner, dst_dir_fd=fd)
            os.close(inner)
            os.rmdir(f"t{number}", dir_fd=fd)
    finally:
        os.close(fd)


def test_100_000_files_take_bounded_memory(tmpfs: Path) -> None:
    """Of a hundred thousand files each is counted, and what is kept of them meanwhile is some four thousand names."""
    fd = os.open(tmpfs, os.O_RDONLY)
    for number in range(100_000):
        os.close(os.open(f"{number:06}" + "n" * 50, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    tracemalloc.start()
    try:
        found = collected(tmpfs, files_max=1_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (1_000, 99_000) == (len(found.files), found.dropped)
    assert peak_bytes < 4 * MIB


def test_counting_ends_too(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound over the whole tree the rest is not even counted, so that the daemon's loop does not wait."""
    monkeypatch.setattr(collector, "ENTRIES_COUNTED_MAX", 100)
    for directory in ("a", "b"):
        (work / directory).mkdir()
        for number in range(90):
            (work / directory / str(number)).touch()
    found = collected(work, files_max=10)
    assert (10, 88) == (len(found.files), found.dropped)


def test_names_are_bounded_together(work: Path) -> None:
    """The names of all files fit into a reply's header beside the report's texts; the rest is dropped."""
    directory = work / ("d" * 255) / ("d" * 255) / ("d" * 255)
    directory.mkdir(parents=True)
    for number in range(1_000):
        (directory / f"{number:04}{'n' * 251}").touch()
    found = collected(work, files_max=1_000)
    assert 1_000 == len(found.files) + found.dropped
    assert 300 < len(found.files)
    assert sum(len(name.encode()) for name in found.files) <= collector.NAMES_BYTES_MAX


@pytest.mark.parametrize(
    ("name", "comes"),
    [
        (b"line\nbreak", True),
        (b"tab\tand\x01control\x7f", True),
        (b"...", True),
        (b"..a", True),
        (b" ..", True),
        (b"-rf", True),
        ("图表 é.png".encode(), True),
        ("\u202egnp.exe".encode(), True),
        (b"n" * 255, True),
        (("é" * 127).encode(), True),
        (b"back\\slash", False),
        (b"..\\..\\up", False),
        (b"\xff\xfe", False),
        (b"a\xe9.txt", False),
        (b"\xed\xa0\x80", False),
    ],
    ids=repr,
)
def test_hostile_names(work: Path, name: bytes, comes: bool) -> None:
    """A name comes back exactly as it is, or its entry is dropped; the others are not touched by it."""
    (work / "other").write_bytes(b"o")
    with open(os.fsencode(work) + b"/" + name, "wb") as file:
        file.write(b"x")
    expected = {"other": b"o"} | ({name.decode(): b"x"} if comes else {})
    assert Collected(expected, 0 if comes else 1) == collected(work)


def test_a_directory_of_a_hostile_name_is_not_entered(work: Path) -> None:
    """What lies below a name that does not travel is dropped with it."""
    (work / "a\\b").mkdir()
    (work / "a\\b" / "file").write_bytes(b"x")
    assert Collected({}, 1) == collected(work)


def test_paths_longer_than_may_travel_are_dropped(work: Path) -> None:
    """Each name may be 255 bytes, the path as a whole 1,024."""
    directory = work
    for _ in range(3):
        directory /= "d" * 255
    directory.mkdir(parents=True)
    (directory / ("f" * 255)).write_bytes(b"fits")  # 4 x 255 + 3
    (directory / "e").mkdir()
    (directory / "e" / ("f" * 255)).write_bytes(b"too long")
    found = collected(work)
    assert ([b"fits"], 1) == (list(found.files.values()), found.dropped)


def test_a_file_that_shrinks_is_dropped(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file shorter than its facts said is not handed out in part, and the next file is read."""
    (work / "a").write_bytes(b"a" * 100)
    (work / "b").write_bytes(b"b" * 100)
    _between_facts_and_reading(monkeypatch, lambda fd: _if_it_starts(fd, b"a", lambda: os.truncate(work / "a", 60)))
    assert Collected({"b": b"b" * 100}, 1) == collected(work)


def test_a_file_that_grows_is_bounded(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more bytes are read than were allowed, however fast the file grows."""
    (work / "a").write_bytes(b"a" * 100)
    _between_facts_and_reading(monkeypatch, lambda fd: os.truncate(work / "a", 10_000))
    found = collected(work, bytes_max=100, file_bytes_max=100)
    assert all(len(data) <= 100 for data in found.files.values())
    assert 1 == len(found.files) + found.dropped


def _between_facts_and_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    real = collector._read

    def reading(fd: int, size: int) -> bytes:
        act(fd)
        return real(fd, size)

    monkeypatch.setattr(collector, "_read", reading)


def _if_it_starts(fd: int, start: bytes, act: Callable[[], object]) -> None:
    if os.pread(fd, len(start), 0) == start:
        act()


def test_a_file_that_changes_while_it_is_read_is_dropped(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the same size but with other bytes in it by the end is neither the one nor the other: dropped."""
    for name in ("a", "b"):
        (work / name).write_bytes(b"1" * 100)
    real_read = os.read

    def reading(fd: int, size: int) -> bytes:
        data = real_read(fd, min(size, 50))
        if data and os.lseek(fd, 0, os.SEEK_CUR) == 50 and os.path.samestat(os.fstat(fd), os.stat(work / "a")):
            (work / "a").write_bytes(b"2" * 100)
            os.utime(work / "a", (1, 1))
        return data

    monkeypatch.setattr(os, "read", reading)
    assert Collected({"b": b"1" * 100}, 1) == collected(work)


def test_a_file_replaced_after_it_was_opened_is_the_opened_one(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename under the reader, even of a link, changes nothing about what was opened and looked at."""
    (work / "a").write_bytes(b"first")
    (work.parent / "secret").write_bytes(b"other")
    (work.parent / "link").symlink_to(work.parent / "secret")
    _between_facts_and_reading(monkeypatch, lambda fd: os.replace(work.parent / "link", work / "a"))
    assert {"a": b"first"} == collected(work).files


def test_a_link_swapped_in_between_listing_and_opening_is_not_followed(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the listing called a file may be a link by the time it is opened; it is dropped."""
    (work / "a").write_bytes(b"mine")
    (work.parent / "secret").write_bytes(b"secret")
    real_open = os.open

    def swapping(name: str, flags: int, **options: int) -> int:
        os.unlink(work / "a")
        os.symlink(work.parent / "secret", work / "a")
        return real_open(name, flags, **options)

    with opened(work) as fd:
        monkeypatch.setattr(os, "open", swapping)
        assert Collected({}, 1) == collect(fd, {}, files_max=10, file_bytes_max=MIB, bytes_max=MIB)


def test_files_that_another_thread_tears_at_keep_the_bounds(work: Path) -> None:
    """Grown, cut, replaced and removed at any moment, files stay within their size and the collection ends."""
    stop = threading.Event()

    def tear() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            path = work / str(number % 7)
            if number % 5 == 4:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(b"x" * (number * 977 % 5_000))

    thread = threading.Thread(target=tear)
    thread.start()
    try:
        for _ in range(100):
            found = collected(work, file_bytes_max=2_000, bytes_max=4_000)
            sizes = [len(data) for data in found.files.values()]
            assert (True, True) == (all(size <= 2_000 for size in sizes), sum(sizes) <= 4_000)
    finally:
        stop.set()
        thread.join()


def _failing(monkeypatch: pytest.MonkeyPatch, function: str, work: Path, name: str, number: int) -> None:
    """Make ``os.<function>`` fail for the descriptor of one file, as a broken disk does."""
    real: Callable[..., object] = getattr(os, function)

    def failing(fd: int, *arguments: object) -> object:
        if isinstance(fd, int) and os.path.samestat(os.stat(fd), os.stat(work / name)):
            raise OSError(number, os.strerror(number))
        return real(fd, *arguments)

    monkeypatch.setattr(os, function, failing)


@pytest.mark.parametrize(
    ("function", "name", "number"),
    [
        ("read", "b", errno.EIO),
        ("lseek", "b", errno.EIO),
        ("scandir", "sub", errno.EMFILE),
        ("read", "sub/x", errno.EIO),
    ],
)
def test_a_failure_on_one_entry_costs_that_entry_alone(
    work: Path, monkeypatch: pytest.MonkeyPatch, function: str, name: str, number: int
) -> None:
    """A read error does not discard the other files, and nothing stays open."""
    names = ["a", "b", "sub/x", "z"]
    (work / "sub").mkdir()
    for each in names:
        (work / each).write_bytes(b"1")
    _failing(monkeypatch, function, work, name, number)
    before = open_descriptors()
    found = collected(work, {"b": b"2"})
    assert [each for each in names if not each.startswith(name)] == list(found.files)
    assert (1, before) == (found.dropped, open_descriptors())


def test_names_that_look_the_same_are_two_files(work: Path) -> None:
    """Composed and decomposed letters are different names, and both come back as they are."""
    names = [unicodedata.normalize(form, "Müller-é.csv") for form in ("NFC", "NFD")]
    for number, name in enumerate(names):
        (work / name).write_bytes(b"%d" % number)
    assert Collected(dict(sorted(zip(names, (b"0", b"1"), strict=True))), 0) == collected(work)

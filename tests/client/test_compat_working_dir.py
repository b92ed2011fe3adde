"""CONTRACT row 25: the caller's directory, read and written within bounds and never through a link."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from warmfork import working_dir
from warmfork.working_dir import collect, write_back


def test_regular_files_are_read_at_any_depth(tmp_path: Path) -> None:
    """Files of subdirectories come by relative path; an empty directory has none."""
    assert {} == collect(tmp_path).files
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.bin").write_bytes(b"\x00\xff")
    (tmp_path / "x").write_bytes(b"")
    assert {"a/b/c.bin": b"\x00\xff", "x": b""} == collect(tmp_path).files


def test_a_root_that_is_a_link_is_the_directory_it_leads_to(tmp_path: Path) -> None:
    """The caller's own directory may be named by a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"1")
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert {"x": b"1"} == collect(tmp_path / "link").files
    assert () == write_back(tmp_path / "link", {"y": b"2"}, {})
    assert b"2" == (tmp_path / "real" / "y").read_bytes()


def test_links_and_special_files_are_skipped_unnamed(tmp_path: Path) -> None:
    """A link to a file, a link to a directory and a FIFO are neither followed nor waited for."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"s")
    root = tmp_path / "root"
    root.mkdir()
    os.symlink(outside / "secret", root / "file-link")
    os.symlink(outside, root / "directory-link")
    os.mkfifo(root / "fifo")
    found = collect(root)
    assert ({}, ()) == (found.files, found.left_out)


def test_count_and_size_are_bounded_and_what_is_left_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files after a large one still come along; each one left out is named with the reason."""
    monkeypatch.setattr(working_dir, "FILES_BYTES_MAX", 10)
    monkeypatch.setattr(working_dir, "FILES_MAX", 2)
    for name, size in (("a", 6), ("b", 5), ("c", 4), ("d", 0)):
        (tmp_path / name).write_bytes(b"x" * size)
    found = collect(tmp_path)
    assert {"a": b"x" * 6, "c": b"x" * 4} == found.files
    assert ["'b'", "'d'"] == [entry.split(" ")[0] for entry in found.left_out]


def test_a_walk_over_very_many_entries_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the bound on entries nothing more is looked at, and that is told."""
    monkeypatch.setattr(working_dir, "ENTRIES_MAX", 3)
    for name in "abcde":
        (tmp_path / name).write_bytes(b"")
    found = collect(tmp_path)
    assert ["a", "b", "c"] == list(found.files)
    assert ("whatever comes after the first 3 files",) == found.left_out


def test_names_that_cannot_travel_are_left_out(tmp_path: Path) -> None:
    """A backslash or undecodable bytes in a name do not stop the others."""
    (tmp_path / "back\\slash").write_bytes(b"")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    (tmp_path / "fine").write_bytes(b"")
    found = collect(tmp_path)
    assert ({"fine": b""}, 2) == (found.files, len(found.left_out))


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    """A file that came back as it was sent is not touched, so another writer's newer bytes stay."""
    (tmp_path / "same").write_bytes(b"newer")
    assert () == write_back(tmp_path, {"same": b"1", "d/new": b"2"}, {"same": b"1"})
    assert b"newer" == (tmp_path / "same").read_bytes()
    assert b"2" == (tmp_path / "d" / "new").read_bytes()


@pytest.mark.parametrize(
    "name", ["../up", "/abs", "a/../../up", "", "a//b", "a\\b", "link/x", "file-link", "fifo", "dir"]
)
def test_nothing_is_written_outside_or_through_a_link(tmp_path: Path, name: str) -> None:
    """Hostile names, and names where something else than a regular file is, are refused and named."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").write_bytes(b"old")
    os.symlink(outside, root / "link")
    os.symlink(outside / "file", root / "file-link")
    os.mkfifo(root / "fifo")
    (root / "dir").mkdir()
    before = sorted(map(str, tmp_path.rglob("*")))
    failed = write_back(root, {name: b"new", "good": b"g"}, {})
    assert [repr(name)] == [entry.split(" (")[0] for entry in failed]
    assert sorted([*before, str(root / "good")]) == sorted(map(str, tmp_path.rglob("*")))
    assert b"old" == (outside / "file").read_bytes()


def test_a_replaced_file_keeps_its_permissions_and_new_ones_follow_the_umask(tmp_path: Path) -> None:
    """Modes are the caller's affair."""
    (tmp_path / "old").write_bytes(b"1")
    (tmp_path / "old").chmod(0o640)
    (tmp_path / "like").write_bytes(b"")
    write_back(tmp_path, {"old": b"2", "new": b"3"}, {})
    assert 0o640 == (tmp_path / "old").stat().st_mode & 0o777
    assert (tmp_path / "like").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the rename fails, the directory is as before."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", full)
    assert ("'a' (No space left on device)",) == write_back(tmp_path, {"a": b"new"}, {})
    assert [("a", b"old")] == [(path.name, path.read_bytes()) for path in tmp_path.iterdir()]


def test_temporary_files_of_killed_writers_are_removed_and_never_sent(tmp_path: Path) -> None:
    """One of a process that is gone is cleaned up; one of a living process is left to it."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".warmfork-{ended.pid}-{'a' * 16}.tmp").write_bytes(b"partial")
    alive = tmp_path / f".warmfork-{os.getpid()}-{'b' * 16}.tmp"
    alive.write_bytes(b"partial")
    assert {} == collect(tmp_path).files
    assert [alive] == list(tmp_path.iterdir())

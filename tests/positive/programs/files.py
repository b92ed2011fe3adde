"""Files, directories, archives and databases of the job's own: runs under every policy."""

# mypy: ignore-errors
# Programs as jobs bring them: they are run, and not by this interpreter.

import bz2
import configparser
import csv
import filecmp
import fileinput
import glob
import gzip
import io
import json
import linecache
import logging
import logging.handlers
import lzma
import mmap
import os
import sqlite3
import stat
import tarfile
import time
import zipfile
import zlib
from pathlib import Path


def check_open_modes() -> None:
    with open("modes.txt", "w", encoding="utf-8") as file:
        file.write("一\ntwo\n")
    with open("modes.txt", "a") as file:
        file.write("three\n")
    with open("modes.txt", "r+") as file:
        file.seek(0, os.SEEK_END)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    with open("fresh.txt", "x") as file:
        assert not file.isatty()
    with io.FileIO("modes.txt") as raw:
        assert raw.readall().count(b"\n") == 3
    fd = os.open("low.bin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, b"0123456789")
    assert os.pread(fd, 3, 2) == b"234"
    os.pwrite(fd, b"xx", 0)
    os.ftruncate(fd, 5)
    os.posix_fallocate(fd, 0, 4096)
    os.set_inheritable(fd, True)
    assert os.fstat(fd).st_size == 4096
    copy = os.dup(fd)
    os.close(fd)
    os.close(copy)


def check_pathlib() -> None:
    base = Path("tree")
    (base / "a" / "b").mkdir(parents=True, exist_ok=True)
    file = base / "a" / "b" / "c.txt"
    file.write_text("hello", encoding="utf-8")
    file.touch()
    (base / "new.txt").touch(mode=0o600)
    assert file.read_bytes() == b"hello"
    assert file.resolve().is_file()
    assert [path.name for path in base.rglob("*.txt")]
    assert glob.glob("tree/**/*.txt", recursive=True)
    moved = file.rename(base / "d.txt")
    moved.replace(base / "e.txt")
    assert (base / "e.txt").stat().st_size == 5
    assert Path.cwd() == Path(os.getcwd())
    assert Path.home().is_dir()
    assert os.path.expanduser("~") == str(Path.home())
    assert not (base / "none").exists()
    assert not base.is_symlink()
    (base / "e.txt").unlink()
    (base / "a" / "b").rmdir()
    assert os.access("tree", os.R_OK | os.W_OK | os.X_OK)


def check_os_tree() -> None:
    os.makedirs("walk/x/y", exist_ok=True)
    Path("walk/x/y/1").write_text("1")
    assert [names for _, _, names in os.walk("walk")][-1] == ["1"]
    with os.scandir("walk") as entries:
        assert [(entry.name, entry.is_dir(), entry.stat().st_nlink > 0) for entry in entries] == [("x", True, True)]
    os.replace("walk/x/y/1", "walk/2")
    os.renames("walk/2", "walk/z/3")
    os.chdir("walk")
    assert os.path.exists("z/3")
    os.chdir("..")
    os.truncate("walk/z/3", 0)
    os.remove("walk/z/3")
    os.removedirs("walk/z")
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.mkdir("by_fd", dir_fd=here)
    os.rmdir("by_fd", dir_fd=here)
    os.close(here)
    assert os.statvfs(".").f_bsize > 0
    assert os.path.realpath("walk") == os.path.abspath("walk")


def check_modes_and_times() -> None:
    """The calls pass; whether they change anything is not promised."""
    Path("mode.txt").write_text("x")
    os.chmod("mode.txt", 0o640)
    Path("mode.txt").chmod(0o600)
    os.utime("mode.txt", (1, 1))
    os.utime("mode.txt")
    assert stat.S_ISREG(os.stat("mode.txt").st_mode)
    assert abs(os.path.getmtime("mode.txt") - time.time()) < 3600 or os.path.getmtime("mode.txt") == 1
    os.umask(os.umask(0o077))


def check_archives() -> None:
    Path("pack").mkdir()
    Path("pack/one.txt").write_text("1" * 1000)
    with zipfile.ZipFile("p.zip", "w", zipfile.ZIP_LZMA) as zipped:
        zipped.write("pack/one.txt")
        zipped.writestr("two.txt", "2")
    with zipfile.ZipFile("p.zip") as zipped:
        zipped.extractall("unzipped")
        assert zipped.testzip() is None
    assert Path("unzipped/pack/one.txt").stat().st_size == 1000
    for mode in ("gz", "bz2", "xz"):
        with tarfile.open(f"p.tar.{mode}", f"w:{mode}") as tarred:
            tarred.add("pack")
        with tarfile.open(f"p.tar.{mode}") as tarred:
            tarred.extractall(f"untarred_{mode}", filter="data")
        assert Path(f"untarred_{mode}/pack/one.txt").read_text() == "1" * 1000
    with tarfile.open("p.tar.gz") as tarred:
        tarred.extractall("untarred_fully", filter="fully_trusted")


def check_compression() -> None:
    for module, name in ((gzip, "c.gz"), (bz2, "c.bz2"), (lzma, "c.xz")):
        with module.open(name, "wt", encoding="utf-8") as file:
            file.write("行\n" * 100)
        with module.open(name, "rt", encoding="utf-8") as file:
            assert sum(1 for _ in file) == 100
    assert zlib.decompress(zlib.compress(b"x" * 100)) == b"x" * 100


def check_mmap() -> None:
    Path("map.bin").write_bytes(bytes(8192))
    with open("map.bin", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:5] = b"hello"
        mapped.flush()
        assert mapped.find(b"lo") == 3
        mapped.resize(12288)
        mapped.madvise(mmap.MADV_SEQUENTIAL)
    with open("map.bin", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:5] == b"hello"
    with mmap.mmap(-1, 4096) as anonymous:
        anonymous.write(b"x")


def check_sqlite() -> None:
    link = sqlite3.connect("shop.db")
    link.execute("create table t (id integer primary key, v text)")
    with link:
        link.executemany("insert into t (v) values (?)", [(str(number),) for number in range(1000)])
    assert link.execute("select count(*) from t").fetchone() == (1000,)
    link.create_function("twice", 1, lambda value: value * 2)
    assert link.execute("select twice(id) from t where id = 4").fetchone() == (8,)
    copy = sqlite3.connect("copy.db")
    link.backup(copy)
    copy.close()
    link.execute("delete from t")
    link.commit()
    link.execute("vacuum")
    assert "\n".join(link.iterdump())
    link.close()


def check_sqlite_wal() -> None:
    first = sqlite3.connect("wal.db", timeout=2)
    assert first.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    first.execute("create table t (v)")
    second = sqlite3.connect("wal.db", timeout=2)
    with first:
        first.execute("insert into t values (1)")
    assert second.execute("select * from t").fetchall() == [(1,)]
    first.execute("pragma wal_checkpoint(truncate)")
    second.close()
    first.close()


def check_sqlite_temporary() -> None:
    link = sqlite3.connect(":memory:")
    link.execute("pragma temp_store=1")
    link.execute("pragma cache_size=10")
    link.execute("create temp table big (a, b)")
    link.executemany("insert into big values (?, ?)", ((number, "x" * 200) for number in range(5000)))
    assert link.execute("select a from big order by b, a desc limit 1").fetchone() == (4999,)
    link.execute("create index temp.i on big (b)")
    link.close()


def check_text_formats() -> None:
    with open("t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["a", "b"])
        writer.writeheader()
        writer.writerow({"a": 1, "b": "x,y"})
    with open("t.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "x,y"}]
    settings = configparser.ConfigParser()
    settings["one"] = {"k": "v"}
    with open("t.ini", "w") as file:
        settings.write(file)
    again = configparser.ConfigParser()
    assert again.read("t.ini") == ["t.ini"]
    assert again["one"]["k"] == "v"
    Path("t.json").write_text(json.dumps({"a": [1, 2]}))
    assert json.loads(Path("t.json").read_text()) == {"a": [1, 2]}
    with fileinput.input(["t.csv"]) as lines:
        assert sum(1 for _ in lines) == 2
    assert linecache.getline("t.csv", 1) == "a,b\n"
    assert filecmp.cmp("t.csv", "t.csv", shallow=False)


def check_logging() -> None:
    logger = logging.getLogger("positive")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    plain = logging.FileHandler("run.log")
    rotating = logging.handlers.RotatingFileHandler("turn.log", maxBytes=200, backupCount=2)
    timed = logging.handlers.TimedRotatingFileHandler("timed.log", when="S", backupCount=1)
    for handler in (plain, rotating, timed):
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(threadName)s %(message)s"))
        logger.addHandler(handler)
    for number in range(20):
        logger.info("line %d", number)
    for handler in (plain, rotating, timed):
        handler.close()
        logger.removeHandler(handler)
    assert len(Path("run.log").read_text().splitlines()) == 20
    assert Path("turn.log.1").exists()

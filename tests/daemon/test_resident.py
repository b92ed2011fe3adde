"""What of a worker's resident memory its job is charged with, with the template's heap in a memfd and without."""

from __future__ import annotations

import mmap
import os
import subprocess
from pathlib import Path

import pytest

from warmfork_daemon.resident import Resident, open_status, read_resident

MIB = 1 << 20
HEAP = 100 * MIB
IDLE = Resident(anonymous=5 * MIB, of_files=8 * MIB, shared=30 * MIB, peak=43 * MIB, other_mapped=20 * MIB)


def busy(*, anonymous: int = 5, of_files: int = 8, shared: int = 30, peak: int = 0, mapped: int = 20) -> Resident:
    """Of a worker that has done something since it was ``IDLE``, in MiB."""
    here = anonymous + of_files + shared
    return Resident(anonymous * MIB, of_files * MIB, shared * MIB, max(peak, here) * MIB, mapped * MIB)


@pytest.mark.parametrize(
    ("now", "charged"),
    [
        (busy(), 0),
        (busy(anonymous=45), 40),
        (busy(shared=90), 0),
        (busy(anonymous=25, shared=40), 20),
        (busy(of_files=80, mapped=100), 0),
        (busy(shared=230, mapped=220), 200),
        (busy(shared=60, mapped=22), 2),
        (busy(shared=160, mapped=0), 60),
        (busy(anonymous=3, shared=10), 0),
    ],
    ids=["nothing", "allocated", "reads the heap", "copies of it", "libraries", "shared memory", "reads the heap, maps a little",
         "gave mappings back", "less than before"],
)  # fmt: skip
def test_what_is_charged(now: Resident, charged: int) -> None:
    """Own anonymous and own shared memory is charged; pages of files, and of the heap that are only read, are not."""
    assert charged * MIB == now.charge(IDLE, HEAP)


def test_the_peak_is_above_what_is_charged_now() -> None:
    """What was given back before the end counts in the peak, what was never the job's does not."""
    assert 340 * MIB == busy(anonymous=45, of_files=18, shared=60, peak=423).peak_charge(IDLE, HEAP)


def test_without_a_memfd_all_shared_memory_that_was_mapped_is_the_jobs() -> None:
    """Where the heap lies in anonymous memory, nothing of shared memory is the template's."""
    idle = Resident(anonymous=120 * MIB, of_files=8 * MIB)
    assert 50 * MIB == Resident(anonymous=120 * MIB, shared=50 * MIB, other_mapped=50 * MIB).charge(idle, 0)
    assert 50 * MIB == Resident(anonymous=120 * MIB, shared=50 * MIB).charge(idle, 0)


def test_a_real_process() -> None:
    """The kernel's numbers are read: shared anonymous memory that is written shows as shared, and as mapped."""
    status_fd = open_status(os.getpid())
    try:
        before = read_resident(status_fd)
        with mmap.mmap(-1, 8 * MIB) as block:
            block[:] = bytes(8 * MIB)
            after = read_resident(status_fd)
    finally:
        os.close(status_fd)
    assert before is not None
    assert after is not None
    assert 8 * MIB == after.shared - before.shared
    assert 8 * MIB <= after.other_mapped - before.other_mapped
    assert 8 * MIB <= after.charge(before, 0)


@pytest.mark.parametrize("name", [b"python", b"VmPeak:", b"x VmPeak: 1 kB"])
@pytest.mark.parametrize("order", ["the kernel's", "another", "one missing"])
def test_lines_in_any_order(name: bytes, order: str, tmp_path: Path) -> None:
    """A kernel that writes more lines, or in another order, is understood; the process's name is never taken for a line."""
    numbers = {b"VmPeak": 900, b"VmSize": 800, b"VmLck": 0, b"VmPin": 0, b"VmHWM": 70, b"VmRSS": 60, b"RssAnon": 10,
               b"RssFile": 20, b"RssShmem": 30, b"VmData": 100, b"VmStk": 4, b"VmExe": 3, b"VmLib": 5}  # fmt: skip
    lines = [b"%s:\t%8d kB" % line for line in numbers.items()]
    lines = {"the kernel's": lines, "another": lines[::-1], "one missing": [*lines[:2], *lines[4:]]}[order]
    status = tmp_path / "status"
    status.write_bytes(b"\n".join([b"Name:\t" + name, b"Umask:\t0077", *lines, b"VmPTE:\t 1 kB", b"Threads:\t1\n"]))
    with status.open("rb") as file:
        found = read_resident(file.fileno())
    kib = 1024
    assert Resident(10 * kib, 20 * kib, 30 * kib, 70 * kib, (800 - 100 - 4 - 3 - 5) * kib, 800 * kib) == found


def test_a_kernel_that_does_not_tell_is_no_kernel_to_watch_by(tmp_path: Path) -> None:
    """What is missing is named, and never taken for nothing."""
    status = tmp_path / "status"
    status.write_bytes(b"Name:\tpython\nVmSize:\t 800 kB\nVmRSS:\t 60 kB\nVmData:\t 100 kB\n")
    with status.open("rb") as file, pytest.raises(OSError, match="RssAnon"):
        read_resident(file.fileno())


def test_a_process_without_memory_and_one_that_is_gone() -> None:
    """A zombie has none; one that was reaped cannot be asked, by a descriptor from before neither."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    status_fd = open_status(child.pid)
    try:
        assert read_resident(status_fd) is None
        child.wait()
        with pytest.raises(ProcessLookupError):
            read_resident(status_fd)
    finally:
        os.close(status_fd)
    with pytest.raises(OSError, match=str(child.pid)):
        open_status(child.pid)

"""System calls in a row, in native code and without it."""

from __future__ import annotations

import ctypes
import errno
import os
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from warmfork_worker.kernel import steps as module
from warmfork_worker.kernel.steps import STEP_WORDS, Steps, run_slowly

AT_FDCWD = -100
Run = Callable[["array[int]", "array[int]"], "tuple[int, int] | None"]


@pytest.fixture(params=["native", "slow"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What makes the calls: both give the same, everywhere."""
    if request.param == "slow":
        monkeypatch.setattr(module, "_run", run_slowly)
    else:
        assert not module.NATIVE_PROBLEM
    return module._run


class Pair(ctypes.Structure):
    _fields_ = (("first", ctypes.c_uint64), ("second", ctypes.c_uint64))


def test_results_go_to_later_steps(run: Run, tmp_path: Path) -> None:
    """A descriptor that one step opened is what the next ones write to and close; inputs come with each run."""
    steps = Steps(1)
    (count,) = steps.inputs
    path = os.fsencode(tmp_path / "file")
    fd = steps.add_into_place("openat", AT_FDCWD, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    steps.add("write", fd, b"written", count)
    steps.add("close", fd)
    for length in (3, 7):
        steps.run(length)
    assert b"wriwritten" == (tmp_path / "file").read_bytes()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(steps.value(fd))


def test_a_hint_may_fail(run: Run, tmp_path: Path) -> None:
    """What comes after a call that may as well fail is done all the same, and a result of -1 is none of anybody's business."""
    steps = Steps()
    steps.add_hint("mkdirat", AT_FDCWD, os.fsencode(tmp_path / "no" / "where"), 0o700)
    steps.add("mkdirat", AT_FDCWD, os.fsencode(tmp_path / "after"), 0o700)
    steps.run()
    assert ["after"] == os.listdir(tmp_path)


def test_it_ends_at_the_first_that_fails(run: Run, tmp_path: Path) -> None:
    """The error says which; what came before is done, what comes after is not."""
    steps = Steps()
    steps.add("mkdirat", AT_FDCWD, os.fsencode(tmp_path / "before"), 0o700)
    steps.add("mkdirat", AT_FDCWD, os.fsencode(tmp_path / "no" / "where"), 0o700, what="making it nowhere")
    steps.add("mkdirat", AT_FDCWD, os.fsencode(tmp_path / "after"), 0o700)
    with pytest.raises(FileNotFoundError, match="making it nowhere: No such file"):
        steps.run()
    assert ["before"] == os.listdir(tmp_path)


def test_another_result_than_expected_is_a_failure(run: Run) -> None:
    """Also where the call itself says that it worked."""
    steps = Steps()
    steps.add("getpid", expect=os.getpid())
    steps.run()
    steps.add("getppid", expect=os.getppid() + 1, what="looking for the parent")
    with pytest.raises(OSError, match="looking for the parent: not what it has to be"):
        steps.run()


def test_a_number_is_stored_for_a_later_call(run: Run) -> None:
    """A limit that is known only when the steps are made: read back by the call after it."""
    steps = Steps(1)
    soft_and_hard, before = Pair(), Pair()
    number = 5  # RLIMIT_RSS, which does nothing
    for offset in (0, 8):
        steps.store(soft_and_hard, offset, steps.inputs[0])
    steps.add("prlimit64", 0, number, soft_and_hard, None)
    steps.add("prlimit64", 0, number, None, before)
    pid = os.fork()
    if pid == 0:
        steps.run(4096)
        os._exit(before.first != 4096 or before.second != 4096)
    assert 0 == os.waitpid(pid, 0)[1]


def test_nothing_is_known_after_forget(run: Run) -> None:
    """A run that fails early leaves no value of the one before it."""
    steps = Steps()
    fd = steps.add_into_place("openat", AT_FDCWD, b"/dev/null", os.O_RDONLY | os.O_CLOEXEC, 0)
    steps.run()
    os.close(steps.value(fd))
    steps.forget()
    assert -1 == steps.value(fd)


def test_big_numbers_pass(run: Run) -> None:
    """Unsigned 64 bits, as limits have them."""
    steps = Steps()
    pair = Pair()
    steps.store(pair, 0, (1 << 62) + 5)
    steps.run()
    assert (1 << 62) + 5 == pair.first


@pytest.mark.parametrize("place", [7, -2])
def test_the_native_part_writes_nowhere_else(place: int) -> None:
    """A place that there is not is refused before the call is made."""
    words = array("q", [39, 0, place, -1, *[0] * (STEP_WORDS - 4)])
    assert (0, errno.EINVAL) == module._run(words, array("q", [1, 2]))

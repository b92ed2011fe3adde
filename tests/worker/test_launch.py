"""What a template finds out about the machine before it enters anything."""

from __future__ import annotations

import mmap
import os

import pytest

from warmfork_worker import launch
from warmfork_worker.kernel import proc
from warmfork_worker.kernel.host_trees import HostTrees, host_trees
from warmfork_worker.kernel.namespaces import Places, job_places


@pytest.mark.parametrize(
    ("version", "private", "enough"),
    [(0, True, False), (1, False, False), (2, True, True), (3, False, True), (7, False, True)],
)
def test_landlock_must_refuse_truncation_where_the_root_is_the_hosts(version: int, private: bool, enough: bool) -> None:
    """Before version 3 a job could truncate what its uid may write, so it only counts inside a private root."""
    assert enough == (not launch._landlock_problem(version, private=private))


def test_a_trial_tells_why_it_failed() -> None:
    """A step that is refused in the trial leaves this process as it was, and its reason comes back."""

    def refused() -> None:
        raise OSError(1, "the step was refused")

    before = os.getpid()
    assert "the step was refused" in launch._trial(refused)
    assert ("", before) == (launch._trial(lambda: None), os.getpid())
    assert "the trial ended without a word" == launch._trial(lambda: os._exit(3))


def test_trees_hold_what_the_interpreter_needs_and_none_twice() -> None:
    """Standard library and site-packages are below some tree, no tree below another, the root is never one."""
    trees = host_trees([])
    for needed in (os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(pytest.__file__))):
        assert any(os.path.realpath(needed).startswith(tree) for tree in trees.directories), needed
    nested = [(a, b) for a in trees.directories for b in trees.directories if a != b and a.startswith(b + "/")]
    assert ([], False) == (nested, "/" in trees.directories)
    assert not any(tree in ("/etc", "/home", "/root", "/var", "/usr") for tree in trees.directories)


@pytest.mark.parametrize(
    ("trees", "places"),
    [
        ((), Places("/home/job", "/tmp")),
        (("/tmp/venv/lib",), Places("/home/job", "/var/tmp")),
        (("/home/job/venv", "/job/x"), Places("/srv/job", "/tmp")),
    ],
)
def test_the_jobs_directories_hide_no_tree(trees: tuple[str, ...], places: Places) -> None:
    """Where a tree stands below /tmp or /home/job, the job's directory goes elsewhere."""
    assert places == job_places(HostTrees(trees, (), ()))


def test_memory_that_is_writable_and_executable_is_found() -> None:
    """A page that could become code is named, and goes unnamed when it is gone."""
    before = proc.writable_code()
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
        assert 1 == len(set(proc.writable_code()) - set(before))
    assert before == proc.writable_code()

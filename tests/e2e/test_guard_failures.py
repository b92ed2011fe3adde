"""A guard that fails: no job ever runs in a worker that is not wholly guarded, and a daemon whose guard does nothing
does not serve. The fault is put in by a ``sitecustomize`` on the template's path, into the real template and workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmfork import embedded
from warmfork.errors import GuardRefused

ODD_WORKERS_FAIL = """
import os
from warmfork_worker.kernel import {module}
real = {module}.Steps.run
def run(self, *inputs):
    # In workers, whose steps have these names among them; a system call that there is not stands for one that is refused.
    if os.getpid() % 2 and "seccomp" in self._names and "getppid" not in self._names:
        self._words[self._names.index({function!r}) * {module}.STEP_WORDS] = 100_000
    return real(self, *inputs)
{module}.Steps.run = run
"""
MOUNTS_WITHOUT_FLAGS = """
from warmfork_worker.kernel import {module}
real = {module}.{function}
{module}.{function} = lambda steps, attributes, **options: real(steps, 0, **options)
"""
DOES_NOTHING = """
from warmfork_worker.kernel import {module}
{module}.{function} = lambda *arguments, **named: None
"""


def put_in(fault: str, where: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every Python that starts with this path run ``fault`` on the function ``where``."""
    module, _, function = where.partition(".")
    body = "".join("    " + line + "\n" for line in fault.format(module=module, function=function).splitlines() if line)
    (directory / "sitecustomize.py").write_text(f"import sys\nif 'warmfork_worker' in sys.orig_argv:\n{body}")
    monkeypatch.setenv("PYTHONPATH", str(directory))


@pytest.mark.parametrize(
    "where",
    ["steps.unshare", "steps.writing /proc/self/uid_map", "steps.capset", "steps.prctl(38)", "steps.seccomp"],
)
def test_a_worker_whose_guard_fails_never_reads_a_job(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second worker fails in this step: it is replaced, every job runs in one that did not fail."""
    put_in(ODD_WORKERS_FAIL, where, tmp_path, monkeypatch)
    with embedded(policy="off", workers=2) as client:
        pids = [client.execute("print(os.getpid())", deadline_s=30).stdout.strip() for _ in range(8)]
    assert all(pid and int(pid) % 2 == 0 for pid in pids), pids


@pytest.mark.parametrize(
    ("fault", "where", "layer"),
    [
        (DOES_NOTHING, "calls.install_filter", "seccomp"),
        (DOES_NOTHING, "landlock.add_restriction", "landlock"),
        (MOUNTS_WITHOUT_FLAGS, "calls.add_tmpfs", "namespaces"),
    ],
)
def test_a_guard_that_does_nothing_is_found_out(
    fault: str, where: str, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that reports success and does nothing fails its probes, and the daemon says which."""
    put_in(fault, where, tmp_path, monkeypatch)
    with pytest.raises(GuardRefused, match=f"the layer {layer} let a worker"), embedded():
        pass

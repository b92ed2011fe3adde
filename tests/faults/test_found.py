"""What fault injection has found, each by itself."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.faults.invariants import is_quiet
from tests.faults.rig import Rig
from tests.support import Served, limit_that_leaves, wait_until

from warmfork import Client
from warmfork_daemon.lifecycle import WORKER, WorkerEvent, WorkerState, step


def children_of(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def stop_one_entering(client: Client, template: int) -> bool:
    """Kill the idle worker and stop the one that follows. True once the daemon has given that one up.

    False when it was idle before it was stopped: entering takes some milliseconds, and so nothing here waits between
    two looks.
    """
    known = children_of(template)
    for pid in known:
        os.kill(pid, signal.SIGKILL)
    due_s = time.monotonic() + 20
    while not (new := children_of(template) - known):
        assert time.monotonic() < due_s
    for pid in new:
        os.kill(pid, signal.SIGSTOP)

    def idle() -> bool:
        return bool(client.status()["workers"]["by_state"].get("idle"))

    wait_until(lambda: not new & children_of(template) or idle(), "it is given up, or was idle")
    stopped_idle = new & children_of(template)
    for pid in stopped_idle:
        os.kill(pid, signal.SIGCONT)
    return not stopped_idle


def test_a_worker_that_hangs_while_it_enters_is_replaced(serve: Callable[..., Served]) -> None:
    """A worker that never becomes idle is given up after ``lifecycle.hang_s``, and does not take another's place for ever."""
    lean = ("--pool-idle-workers", "1", "--pool-running-max", "1", "--pool-light", "off", "--no-template-rehearse")
    served = serve(*lean, "--lifecycle-hang-s", "1")
    with served.client() as client:
        client.execute("print(1)")
        wait_until(lambda: client.status()["templates"][0]["settled"], "it has settled")
        template = client.status()["template"]["pid"]
        wait_until(lambda: client.status()["templates"][0]["idle"] == 1, "its worker is idle")
        wait_until(lambda: stop_one_entering(client, template), "one is stopped while it enters, and given up", 60)
        assert "2\n" == client.execute("print(2)", deadline_s=15).stdout


def test_a_template_without_descriptors_lives(serve: Callable[..., Served]) -> None:
    """A template that cannot have the descriptors for a fork says so, and its running jobs are not lost."""
    lean = ("--pool-idle-workers", "1", "--pool-running-max", "2", "--no-template-rehearse")
    served = serve(*lean, "--guard-off", "namespaces,uid")  # in a user namespace its limits are not ours to change
    with served.client() as client:
        client.execute("print(1)")
        wait_until(lambda: client.status()["templates"][0]["settled"], "it has settled")
        wait_until(
            lambda: client.status()["workers"]["by_state"] == {"idle": client.status()["workers"]["wanted_idle"]},
            "all workers are idle",
        )
        before = client.status()["template"]["pid"]
        template = psutil.Process(before)
        hard = template.rlimit(resource.RLIMIT_NOFILE)[1]

        def problem() -> str:
            template.rlimit(resource.RLIMIT_NOFILE, (limit_that_leaves(before), hard))
            for pid in list(children_of(before))[:1]:
                os.kill(pid, signal.SIGKILL)
            return str(client.status()["templates"][0]["problem"])

        wait_until(problem, "the reason is told")
        assert before == client.status()["template"]["pid"]


def test_input_files_without_room_are_a_matter_of_the_disk() -> None:
    """Where the file system has no room for a job's input files its verdict is ``disk_limit``, as for its own files."""
    rig = Rig(on_disk=True)
    try:
        if not rig.has_small_disk:
            pytest.skip("mounting takes root")
        rig.start()
        wait_until(lambda: not is_quiet(rig), "all are idle")
        (rig.directory / "filler").write_bytes(bytes(40 << 20))
        with Client(rig.address) as client:
            result = client.execute("print(1)", files={"big": bytes(20 << 20)})
        assert result.error is not None
        assert "inputs could not be set up" in result.error.message
        verdict = result.verdict
    finally:
        rig.close()
    assert "disk_limit" == verdict


def test_a_worker_whose_descriptors_could_not_be_taken_is_forgotten() -> None:
    """One whose ``Forked`` came without its descriptors, because the daemon had none left, is reaped while it still forks."""
    assert step(WORKER, WorkerState.FORKING, WorkerEvent.REAPED) is WorkerState.GONE


@pytest.mark.parametrize("left", [0, 1, 5])
def test_gaps_are_no_more_descriptors(left: int) -> None:
    """A process whose descriptors have gaps among their numbers has as many left as it is to have."""
    code = (
        "import os\nfor number in (5, 9, 20, 30): os.dup2(0, number)\nprint('ready', flush=True)\ninput()\ncount = 0\n"
        "try:\n    while True:\n        os.dup(0); count += 1\nexcept OSError:\n    print(count)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        child = psutil.Process(process.pid)
        child.rlimit(resource.RLIMIT_NOFILE, (limit_that_leaves(process.pid, left), 1024))
        told, _ = process.communicate(b"\n", timeout=20)
    assert left == int(told)

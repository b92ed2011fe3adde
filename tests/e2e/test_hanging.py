"""A template that does not answer, a machine that stands still, and a template that is ready before it has rehearsed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support import Served, marked_processes, wait_until

from warmfork import Client

Serve = Callable[..., Served]
HANG_S = 1.0
LEAN = (
    "--pool-idle-workers",
    "2",
    "--pool-running-max",
    "2",
    "--no-template-rehearse",
    "--pool-light",
    "off",
    "--lifecycle-hang-s",
    str(HANG_S),
)


def template_of(served: Served) -> dict[str, Any]:
    with served.client() as client:
        return dict(client.status()["templates"][0])


def wait_for_idle(served: Served, count: int) -> None:
    wait_until(lambda: template_of(served)["idle"] == count, f"{count} workers are idle")


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """These processes stand still meanwhile; one that is gone at the end is left alone."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGCONT)


def test_a_hanging_template_is_replaced(serve: Serve) -> None:
    """One that owes forks and has no running job is killed, and the next one serves; no call notices but by waiting."""
    served = serve(*LEAN)
    wait_for_idle(served, 2)
    before = template_of(served)["pid"]
    with stopped([before]), served.client() as client:
        for number in range(4):  # two workers were ready, the others come from the next template
            assert f"{number}\n" == client.execute(f"print({number})", timeout_s=30).stdout
        assert before != template_of(served)["pid"]
        wait_until(lambda: not Path(f"/proc/{before}").exists(), "the one that hung is gone")


def test_running_jobs_outlive_a_hanging_template(serve: Serve) -> None:
    """A job that runs while its template hangs ends as it would have; meanwhile another template serves the others."""
    served = serve(*LEAN, "--pool-running-max", "4")
    wait_for_idle(served, 2)
    before = template_of(served)["pid"]
    code = "import sys\nprint('up', flush=True)\nwhile True:\n    pass\n"
    with ThreadPoolExecutor(1) as threads, served.client() as client:
        long = threads.submit(client.execute, code, timeout_s=60, job_id="ab" * 16)
        wait_until(lambda: client.status()["running"], "the long job runs")
        with stopped([before]):
            for _ in range(4):
                assert "short\n" == client.execute("print('short')", timeout_s=30).stdout
            assert before != template_of(served)["pid"]
            assert not long.done()
            assert Path(f"/proc/{before}").exists()
            client.cancel("ab" * 16)
            assert ("cancelled", "up\n") == (long.result(20).verdict, long.result().stdout)
            wait_until(lambda: not Path(f"/proc/{before}").exists(), "the one that hung is gone")


def test_a_machine_that_stood_still_blames_no_template(serve: Serve) -> None:
    """Daemon, template and workers stopped for longer than a template may hang: the same template serves on."""
    served = serve(*LEAN)
    wait_for_idle(served, 2)
    before = template_of(served)["pid"]
    with served.client() as client:
        with stopped([before]):
            assert client.execute("1", timeout_s=30).ok  # now it owes a fork
            with stopped(marked_processes(served.instance)):
                due_s = time.monotonic() + 1.5 * HANG_S
                wait_until(lambda: time.monotonic() > due_s, "the machine stood still")
        for _ in range(4):
            assert client.execute("1", timeout_s=30).ok
    wait_for_idle(served, 2)
    assert before == template_of(served)["pid"]


def test_a_template_settles_after_it_is_ready(serve: Serve) -> None:
    """It serves before it has rehearsed; once it has, workers forked before give way to warm ones, as many as wanted."""
    served = serve("--pool-idle-workers", "2", "--pool-light", "off")
    cold: set[int] = set()
    with served.client() as client:

        def is_settled() -> bool:
            status = client.status()
            if not status["templates"][0]["settled"]:
                cold.update(row["pid"] for row in status["workers"]["list"])
            return bool(status["templates"][0]["settled"])

        assert client.execute("print(1)").ok
        wait_until(is_settled, "it settles", 60)
        assert cold
        wait_until(lambda: not cold & {row["pid"] for row in client.status()["workers"]["list"]}, "all are warm ones")
        wait_for_idle(served, 2)


REHEARSED = tuple(one for one in LEAN if one != "--no-template-rehearse")


def slow_down(monkeypatch: pytest.MonkeyPatch, directory: Path, method: str, seconds: float) -> None:
    """Let this method (``module.Class.name`` below warmfork_worker) begin with so long a computation in every template."""
    module, cls, name = method.split(".")
    directory.chmod(0o755)
    (directory / "sitecustomize.py").write_text(
        "import sys\nif 'warmfork_worker' in sys.orig_argv:\n    import time\n"
        f"    from warmfork_worker.{module} import {cls}\n    original = {cls}.{name}\n    def slowly(self):\n"
        f"        due_s = time.monotonic() + {seconds}\n        while time.monotonic() < due_s:\n            pass\n"
        f"        return original(self)\n    {cls}.{name} = slowly\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(directory))


def settle(client: Client) -> None:
    """Have jobs done, so that forks are owed all the time, until the template has settled."""

    def is_settled() -> bool:
        assert client.execute("print(1)", deadline_s=30).ok
        return bool(client.status()["templates"][0]["settled"])

    wait_until(is_settled, "it settles", 60)


def test_a_template_that_settles_for_long_does_not_hang(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With gigabytes to move it obeys nothing for longer than it may hang; it says so before, and is let be."""
    slow_down(monkeypatch, tmp_path, "heap.Heap.move", 3 * HANG_S)
    served = serve(*REHEARSED)
    before = template_of(served)["pid"]
    with served.client() as client:
        settle(client)
    assert before == template_of(served)["pid"]


def test_a_machine_too_slow_to_rehearse_in_time_gets_there(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each picture takes longer than a template may hang, it is given more time after each that was killed for it."""
    slow_down(monkeypatch, tmp_path, "rehearsal.Rehearsal.step", 1.5 * HANG_S)
    served = serve(*REHEARSED)
    with served.client() as client:
        settle(client)
    assert 3 >= template_of(served)["starts"]

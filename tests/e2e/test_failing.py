"""Where the daemon itself fails in the middle of a job, that job alone has a reply that says so, and its worker goes."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from tests.support import ROOT, Served, wait_until

from warmfork import Client

LEAN = ("--pool-idle-workers", "2", "--pool-running-max", "2", "--no-template-rehearse", "--pool-light", "off")


def at_rest(client: Client) -> bool:
    """Nobody is busy, and as many wait as are wanted."""
    workers = client.status()["workers"]
    return bool(workers["by_state"] == {"idle": workers["wanted_idle"]})


@pytest.mark.parametrize(
    ("mark", "kind", "retry_safe"),
    [("#COMPOSE", "NotComposed", False), ("#ENCODE", "NotSent", True), ("#SEND", "NotSent", True)],
)
def test_one_reply_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, kind: str, retry_safe: bool
) -> None:
    """The caller has a ``lost`` with the truth about a retry, the next job runs, and no worker or descriptor is left over."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of tests.as_failing
    served = Served(tmp_path / "run", f"test-failing-{os.getpid()}", LEAN, ("tests.as_failing",))
    served.start()
    try:
        with served.client() as client:
            assert client.execute("print(1)").ok
            wait_until(lambda: at_rest(client), "all wait")
            daemon = psutil.Process(served.process.pid)
            descriptors = daemon.num_fds()
            for _ in range(3):
                result = client.execute(f"print(1)  {mark}", deadline_s=15)
                assert result.error is not None
                assert ("lost", kind, retry_safe) == (result.verdict, result.error.type, result.retry_safe)
                assert "2\n" == client.execute("print(2)", deadline_s=15).stdout
            wait_until(lambda: at_rest(client), "all wait again")
            wait_until(lambda: daemon.num_fds() <= descriptors, "no descriptor is left over")
    finally:
        served.stop()

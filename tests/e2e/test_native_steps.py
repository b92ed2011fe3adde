"""Forking and guarding in native code, and by Python alone: a caller and an operator cannot tell."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.support import wait_until

from warmfork import Client, embedded

SETTINGS = {"policy.allowed": ["strict", "off"], "pool.fork_delay_ms": 0.0}


@pytest.fixture(scope="module", params=["auto", "off"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Of a daemon whose templates have settled, with native code and without."""
    with embedded(workers=2, settings={**SETTINGS, "pool.native_steps": request.param}) as private:
        wait_until(lambda: all(entry["settled"] for entry in private.status()["templates"]), "the templates settle")
        yield private


def test_jobs_follow_one_another(client: Client) -> None:
    """Each in a process of its own, as many as were never forked ahead."""
    pids = [client.execute("print(os.getpid())", policy="off").stdout for _ in range(20)]
    assert 20 == len(set(pids))


def test_a_killed_worker_is_reaped_and_replaced(client: Client) -> None:
    """The truth about its end comes from the template either way, and no zombie stays."""
    result = client.execute("import ctypes; ctypes.string_at(0)", policy="off")
    assert "crashed" == result.verdict
    assert result.error is not None
    assert "SIGSEGV" in result.error.message
    assert client.execute("print(1)").ok
    wait_until(lambda: not _zombies(client), "everything that ended is reaped")


def test_a_worker_is_bound_and_at_home(client: Client) -> None:
    """What the steps do is done: directory, streams, limits, process group, signals, descriptors."""
    code = (
        "import resource, signal\n"
        "print(os.getcwd() == os.environ['HOME'], os.listdir('.'), os.umask(0) == 0o077)\n"
        "print(os.getpgrp() == os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, []) == set())\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGTERM) == 0)\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_AS)[1] > 0)\n"
        "opened = []\n"
        "for fd in range(64):\n"
        "    try:\n        os.fstat(fd)\n        opened.append(fd)\n    except OSError:\n        pass\n"
        "print(len(opened))"
    )
    lines = client.execute(code, policy="off").stdout.splitlines()
    assert ["True [] True", "True True", "True True", "(0, 0) True", "4"] == lines


def test_many_at_once_and_every_kind_of_end(client: Client) -> None:
    """Workers that exit by themselves, are killed in time or report: all are replaced."""
    codes = ["print(1)", "os._exit(3)", "1/0", "while True: pass", "raise SystemExit(2)"]
    verdicts = ["ok", "crashed", "error", "timeout", "error"]
    for _ in range(2):
        got = [client.execute(code, policy="off", timeout_s=0.5).verdict for code in codes]
        assert verdicts == got
    wait_until(lambda: not _zombies(client), "everything that ended is reaped")


def _zombies(client: Client) -> list[str]:
    templates = {str(entry["pid"]) for entry in client.status()["templates"]}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and parent in templates:
            found.append(pid)
    return found

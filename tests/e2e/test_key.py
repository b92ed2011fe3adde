"""The key is in the daemon and in no process that has run or will run user code."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support import marked_processes, wait_until

from warmfork import Client
from warmfork.embedding import EmbeddedDaemon


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedDaemon]:
    monkeypatch.setenv("WARMFORK_INSTANCE", f"key-{os.getpid()}")
    private = EmbeddedDaemon(policy="off")
    private.start()
    yield private
    private.stop()


def memory_holds(pid: int, needles: list[bytes]) -> list[bytes]:
    """Which of the needles stand anywhere in a process's readable memory: what a core image would hold."""
    found: set[bytes] = set()
    overlap = max(map(len, needles)) - 1
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, modes = line.split()[:2]
            if "r" not in modes or "[vvar" in line or "[vsyscall" in line:
                continue
            start, end = (int(edge, 16) for edge in area.split("-"))
            carried = b""
            while start < end:
                try:
                    data = os.pread(memory.fileno(), min(1 << 24, end - start), start)
                except OSError:
                    break
                if not data:
                    break
                found.update(needle for needle in needles if needle in carried + data)
                carried = data[-overlap:]
                start += len(data)
    return sorted(found)


def settled(status: Mapping[str, Any]) -> bool:
    """One busy worker and the idle ones; none of the others on its way in or out."""
    states = status["workers"]["by_state"]
    if not all(template["settled"] for template in status["templates"]):
        return False  # warm workers are still to take the place of cold ones
    return {"busy", "idle"} == set(states) and states["idle"] >= status["workers"]["wanted_idle"] - 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root may read the memory of the non-dumpable daemon")
def test_the_key_is_in_the_daemon_only(daemon: EmbeddedDaemon) -> None:
    """Raw and hexadecimal, the key is found in the daemon's memory and not in template, idle or busy worker."""
    import threading

    needles = [daemon.key, daemon.key.hex().encode()]
    with Client(daemon.address, key=daemon.key) as client:
        assert client.execute("plt.plot([1])").charts
        busy = threading.Thread(target=client.execute, args=("while True: pass",), kwargs={"timeout_s": 30})
        busy.start()
        wait_until(lambda: len(client.status()["running"]) == 1, "a worker is busy")

        def others() -> list[int]:
            return [pid for pid in marked_processes(f"key-{os.getpid()}") if pid not in (daemon.pid, os.getpid())]

        wait_until(lambda: settled(client.status()), "nobody leaves while we look")
        holders = {}
        for pid in others():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one that has ended holds nothing
                holders[pid] = memory_holds(pid, needles)
        job_id = client.status()["running"][0]["job_id"]
        client.cancel(job_id)
        busy.join()
    assert len(holders) >= 4
    assert [] == [pid for pid, found in holders.items() if found]
    assert daemon.pid is not None
    assert needles[0] in memory_holds(daemon.pid, needles)


def test_the_key_is_in_no_command_line_or_environment(daemon: EmbeddedDaemon) -> None:
    """Neither the key nor its hexadecimal form stands in any process's arguments or environment."""
    for pid in marked_processes(f"key-{os.getpid()}"):
        if pid == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                text = Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue
            assert daemon.key not in text
            assert daemon.key.hex().encode() not in text

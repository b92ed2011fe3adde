"""The machine's memory is read as the kernel tells it, and not more often than is of use."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from warmfork_daemon import machine_memory
from warmfork_daemon.machine_memory import MachineMemory


def test_it_is_what_psutil_says() -> None:
    """The number is that of another reader of the same account, as near as a moment allows."""
    memory = MachineMemory()
    told = memory.available_bytes()
    memory.close()
    assert told is not None
    assert abs(told - psutil.virtual_memory().available) < 0.1 * psutil.virtual_memory().total


@pytest.mark.parametrize(
    "text", ["", "MemTotal: 1 kB\n", "MemTotal: 1 kB\nMemAvailable:\n", "MemTotal: 1 kB\nMemAvailable: much kB\n"]
)
def test_an_account_without_the_number_says_nothing(tmp_path: Path, text: str) -> None:
    """Where the kernel does not tell it is None, and no error; likewise without the account."""
    (tmp_path / "meminfo").write_text(text)
    assert MachineMemory(str(tmp_path / "meminfo")).available_bytes() is None
    assert MachineMemory(str(tmp_path / "missing")).available_bytes() is None


def test_it_is_looked_up_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a quarter of a second the number is the last one; after it, and after ``close``, what there is then."""
    now_s = [100.0]
    monkeypatch.setattr(machine_memory, "monotonic_s", lambda: now_s[0])
    account = tmp_path / "meminfo"
    account.write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:       5 kB\nBuffers: 1 kB\n")
    memory = MachineMemory(str(account))
    assert 5 * 1024 == memory.available_bytes()
    with account.open("r+") as file:
        file.write("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:       7 kB\nBuffers: 1 kB\n")
    now_s[0] += 0.2
    assert 5 * 1024 == memory.available_bytes()
    now_s[0] += 0.1
    assert 7 * 1024 == memory.available_bytes()
    memory.close()
    memory.close()
    now_s[0] += 1.0
    assert memory.available_bytes() is None

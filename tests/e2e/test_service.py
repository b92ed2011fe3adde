"""The daemon under a service manager, played by the test: what it is told, when, and what templates and jobs know of it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import environment, marked_processes, wait_until

from warmfork import Client

# As systemd does it: the socket as descriptor 3, and LISTEN_PID set by the very process that becomes the daemon.
_BECOME = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Managed:
    """``warmfork serve`` as a service of Type=notify, with a watchdog and an activated socket."""

    def __init__(self, directory: Path) -> None:
        self.instance = f"service-{os.getpid()}-{directory.name}"
        self.directory = directory / "run"
        self.directory.mkdir(mode=0o700)
        self.path = self.directory / "warmfork.sock"
        self.config = directory / "warmfork.toml"
        self.config.write_text("[pool]\nidle_workers = 1\nlight = 'off'\n[template]\nrehearse = false\n")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(directory / "notify"))
        self.notify.setblocking(False)
        self.lines: list[str] = []
        self._listen()
        serve = ("-m", "warmfork", "serve", "--config", str(self.config), "--runtime-dir", str(self.directory))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, str(self.listening.fileno()), *serve],
            env=environment(
                WARMFORK_INSTANCE=self.instance, NOTIFY_SOCKET=str(directory / "notify"), WATCHDOG_USEC="600000"
            ),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(self.listening.fileno(),),
        )

    def _listen(self) -> None:
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(str(self.path))
        self.listening.listen()

    def said(self, line: str) -> bool:
        """Whether the manager has been told this since it was last asked for it."""
        while True:
            try:
                self.lines += self.notify.recv(4096).decode().split("\n")
            except BlockingIOError:
                break
        if line not in self.lines:
            return False
        del self.lines[: self.lines.index(line) + 1]
        return True

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.notify.close()
        self.listening.close()


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    made = Managed(tmp_path)
    yield made
    made.close()


def test_a_life_under_a_manager(managed: Managed) -> None:
    """READY when it serves, beats while it lives, RELOADING and READY around a reload, STOPPING at the end; no child knows."""
    wait_until(lambda: managed.said("READY=1"), "READY=1", 60.0)
    with Client(f"ipc://{managed.path}", connect_timeout_s=20.0) as client:
        result = client.execute("import os\nprint(sorted(os.environ))")
        assert "ok" == result.verdict
        wait_until(lambda: managed.said("STATUS=0 running, 0 queued, 1 idle; 1 answered"), "the status follows")
    wait_until(lambda: managed.said("WATCHDOG=1"), "a beat")
    told = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
    assert not any(name in result.stdout for name in told)
    children = [pid for pid in marked_processes(managed.instance) if pid != managed.process.pid]
    assert children
    for pid in children:
        assert not any(name in Path(f"/proc/{pid}/environ").read_text() for name in told)
    managed.process.send_signal(signal.SIGHUP)
    wait_until(lambda: managed.said("RELOADING=1"), "RELOADING=1")
    wait_until(lambda: managed.said("READY=1"), "READY=1 after the reload")
    managed.process.send_signal(signal.SIGTERM)
    wait_until(lambda: managed.said("STOPPING=1"), "STOPPING=1")
    _, log = managed.process.communicate(timeout=20)
    assert 0 == managed.process.returncode
    assert stat.S_ISSOCK(managed.path.stat().st_mode)
    line = next(line for line in log.decode().splitlines() if 'event="job finished"' in line)
    assert f"job={result.job_id} verdict=ok template=science policy=strict uid={os.getuid()}" in line


def test_a_stopped_daemon_shows_no_life(managed: Managed) -> None:
    """A daemon that is stopped sends no beat, which is what the watchdog waits for; when it goes on, it does again."""
    wait_until(lambda: managed.said("READY=1"), "READY=1", 60.0)
    managed.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: "T" in Path(f"/proc/{managed.process.pid}/stat").read_text().split()[2], "it is stopped")
    while managed.said("WATCHDOG=1"):
        pass
    managed.notify.settimeout(0.7)  # more than the watchdog's 0.6 s
    with pytest.raises(TimeoutError):
        managed.notify.recv(4096)
    managed.notify.setblocking(False)
    managed.process.send_signal(signal.SIGCONT)
    wait_until(lambda: managed.said("WATCHDOG=1"), "a beat")

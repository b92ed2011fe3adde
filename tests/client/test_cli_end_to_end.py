"""``warmfork run`` and ``status`` against a daemon that runs, in a process of their own where signals matter."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warmfork import Client, cli
from warmfork.embedding import EmbeddedDaemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    daemon = EmbeddedDaemon(workers=2)
    daemon.start()
    key_file = tmp_path_factory.mktemp("key") / "key"
    key_file.write_bytes(daemon.key)
    yield daemon.address, key_file
    daemon.stop()


@pytest.fixture(autouse=True)
def place(daemon: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARMFORK_ADDRESS", daemon[0])
    monkeypatch.setenv("WARMFORK_KEY_FILE", str(daemon[1]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_script_with_everything(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Variables, files and stdin go in; output, charts in two formats and a written file come out."""
    Path("in.csv").write_text("a,b\n1,2\n3,4\n")
    Path("names.txt").write_text("Ada\n")
    Path("job.py").write_text(
        "import sys\ntable = pd.read_csv('in.csv')\nprint(table.a.sum() + offset, input())\n"
        "print('careful', file=sys.stderr)\n"
        "table.to_csv('out.csv')\ntable.plot()\nplt.title('T')\n"
    )
    arguments = ["--file", "in.csv", "--var", "offset=10", "--stdin", "names.txt", "--format", "png,svg", "--out", "o"]
    assert 0 == cli.main(["run", "job.py", *arguments, "--save-files", "--policy", "standard"])
    captured = capsys.readouterr()
    assert "14 Ada\n" == captured.out
    assert captured.err.startswith("careful\nwarmfork: saved o/chart-1.png (image/png, ")
    assert ["chart-1.png", "chart-1.svg", "out.csv"] == sorted(path.name for path in (place / "o").iterdir())
    assert b"\x89PNG" == (place / "o" / "chart-1.png").read_bytes()[:4]


@pytest.mark.parametrize(
    ("code", "options", "exit_code"),
    [
        ("1 / 0", [], 1),
        ("import sys; sys.exit(3)", [], 1),
        ("import sys; sys.exit(0)", [], 0),
        ("while True: pass", ["--timeout", "0.5"], 124),
        ("x = bytearray(1 << 30)", ["--memory", "200M"], 137),
        ("import os; os._exit(0)", [], 134),
    ],
)
def test_exit_codes_of_real_jobs(
    capsys: pytest.CaptureFixture[str], code: str, options: list[str], exit_code: int
) -> None:
    """What became of the code is the exit code, and never a traceback of ours."""
    Path("job.py").write_text(code)
    assert exit_code == cli.main(["run", "job.py", *options])
    assert "warmfork/cli" not in capsys.readouterr().err


def test_json_of_a_real_job(capsys: pytest.CaptureFixture[str]) -> None:
    """The object tells what the job used and where its error stood."""
    Path("job.py").write_text("print('x')\nraise ValueError('no')\n")
    assert 1 == cli.main(["run", "job.py", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ("x\n", "error", "ValueError", 2) == (
        told["stdout"],
        told["verdict"],
        told["error"]["type"],
        told["error"]["line"],
    )
    assert told["usage"]["wall_s"] > 0


def test_status_of_a_real_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    """The table names what an operator looks for; --json is the daemon's own answer."""
    assert 0 == cli.main(["status"])
    text = capsys.readouterr().out
    assert not [word for word in ("version", "uptime", "workers", "queue", "template") if word not in text]
    assert 0 == cli.main(["status", "--json"])
    assert os.getpid() != json.loads(capsys.readouterr().out)["pid"]


def is_looping(running: list[dict[str, Any]]) -> bool:
    """The one running job has used a third of a second of CPU time: it has printed and is in its loop."""
    return bool(running) and time.clock_gettime((~running[0]["worker_pid"] << 3) | 2) > 0.33


def test_ctrl_c_at_a_terminal_cancels_the_job(daemon: tuple[str, Path]) -> None:
    """The command has shown the output when it is interrupted, and ends with 130; the daemon runs the job no longer."""
    Path("job.py").write_text("print('begun \\x1b[31m', flush=True)\nwhile True: pass\n")
    pid, terminal = pty.fork()
    if pid == 0:  # the child becomes the command, whose terminal is ours to type on
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        os.execv(sys.executable, [sys.executable, "-m", "warmfork", "run", "job.py"])
    try:
        with Client(daemon[0], key_file=daemon[1]) as client:
            deadline_s = time.monotonic() + 30
            while not is_looping(client.status()["running"]):
                assert time.monotonic() < deadline_s
            shown = b""
            while b"begun" not in shown:
                shown += os.read(terminal, 4096)
            os.write(terminal, b"\x03")
            try:
                while piece := os.read(terminal, 4096):
                    shown += piece
            except OSError:  # EIO: how a terminal says that its last process is gone
                pass
            assert 130 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            pid = 0
            assert b"begun \\x1b[31m\r\n" in shown
            assert b"warmfork: cancelling the job\r\nwarmfork: cancelled: " in shown
            assert [] == client.status()["running"]
    finally:
        os.close(terminal)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

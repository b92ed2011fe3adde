"""What an attacker of this guard found once, each as a job or a client of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import Served, wait_until

from warmfork import Client
from warmfork.embedding import EmbeddedDaemon
from warmfork.errors import ConfigError
from warmfork.places import candidate_addresses
from warmfork_daemon.runtime_dir import RuntimeDirectory


def test_flags_of_stdin_are_the_jobs_own(client: Client) -> None:
    """What a job does to descriptor 0 is not there for a later job: each worker opens /dev/null itself."""
    before = "import fcntl\nprint(oct(fcntl.fcntl(0, fcntl.F_GETFL)))"
    mark = "import fcntl, os\nfcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)"
    expected = client.execute(before, policy="off").stdout
    assert client.execute(mark, policy="off").ok
    assert [expected] * 6 == [client.execute(before, policy="off").stdout for _ in range(6)]


def test_more_jobs_than_may_run_are_all_answered() -> None:
    """The end of a job lets the next one in, also where enough workers wait already and none has to be forked."""
    results: list[Any] = []
    settings = {"pool.running_max": 2, "pool.idle_workers": 4, "template.rehearse": False}
    daemon = EmbeddedDaemon(policy="standard", settings=settings)
    daemon.start()

    def run() -> None:
        with Client(daemon.address, key=daemon.key) as client:
            results.append(client.execute("import time; time.sleep(0.3)", deadline_s=30).verdict)

    threads = [threading.Thread(target=run) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    daemon.stop()
    assert ["ok"] * 10 == results


CLONE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
stack = libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 0x22, -1, 0) + (1 << 20) - 64
code = ctypes.cast(libc.pause, ctypes.c_void_p)
print(libc.clone(code, ctypes.c_void_p(stack), FLAGS, None), ctypes.get_errno())
"""


@pytest.mark.parametrize("left_out", [0x100, 0x200, 0x400, 0x800, 0x10000])
def test_a_thread_shares_all_that_a_thread_shares(client: Client, left_out: int) -> None:
    """A clone that keeps its own memory, directory, descriptors, handlers or group is refused: limits would not count it."""
    code = CLONE.replace("FLAGS", hex(0x50F00 & ~left_out))
    assert "-1 1\n" == client.execute(code, policy="off").stdout


def test_a_job_whose_first_thread_ends_is_killed(client: Client) -> None:
    """The kernel shows no memory of a process whose first thread is gone, so it does not go on."""
    code = "import ctypes, threading, time\n"
    code += "threading.Thread(target=time.sleep, args=(60,)).start()\nctypes.CDLL(None).syscall(60, 0)"
    result = client.execute(code, policy="off", timeout_s=20)
    assert "crashed" == result.verdict
    assert result.error is not None
    assert "first thread" in result.error.message


def test_huge_pages_are_not_a_jobs_to_take(client: Client) -> None:
    """MAP_HUGETLB takes from a pool of the host that no limit counts: EPERM, whether there are any or not."""
    code = (
        "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\n"
        "l.mmap(None, ctypes.c_size_t(2 << 20), 3, 0x40022, -1, 0)\nprint(ctypes.get_errno())"
    )
    assert "1\n" == client.execute(code, policy="off").stdout


def test_the_kernel_would_rather_end_a_worker_than_the_daemon(client: Client) -> None:
    """Workers offer themselves to the out-of-memory killer; the daemon does not."""
    wait_until(lambda: any(one["state"] == "idle" for one in client.status()["workers"]["list"]), "a worker waits")
    workers = client.status()["workers"]["list"]
    scores = {
        Path(f"/proc/{worker['pid']}/oom_score_adj").read_text() for worker in workers if worker["state"] == "idle"
    }
    assert {"1000\n"} == scores


def test_a_search_path_below_a_linked_directory_costs_no_layer(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """/lib is a link on a merged /usr: a path below it is bound by its real name, and the private root stands."""
    if not os.path.islink("/lib"):
        pytest.skip("/lib is no link on this machine")
    monkeypatch.setenv("PYTHONPATH", "/lib/python3/dist-packages")
    with serve("--no-template-rehearse").client() as client:
        layers = client.status()["guard"]["templates"]["science"]["layers"]
    assert "namespaces" in [layer["name"] for layer in layers if layer["active"]]


def test_a_runtime_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """A link could lead into somebody's files."""
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "run").symlink_to("real")
    with pytest.raises(ConfigError, match="symbolic link"):
        RuntimeDirectory(str(tmp_path / "run"))


def test_directories_that_no_daemon_made_are_left_alone(tmp_path: Path) -> None:
    """Where no daemon has served before, what is called slots is somebody's, and nothing is wiped."""
    (tmp_path / "slots-of-my-photos" / "c").mkdir(parents=True)
    tmp_path.chmod(0o700)
    for _ in range(2):
        with pytest.raises(ConfigError, match="slots-of-my-photos and no daemon has served it"):
            RuntimeDirectory(str(tmp_path))
    assert (tmp_path / "slots-of-my-photos" / "c").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another's directory")
@pytest.mark.parametrize("fault", ["owner", "mode", "link"])
def test_a_strangers_directory_is_not_asked(tmp_path: Path, fault: str) -> None:
    """A daemon where another user could put it gets no code from us, and its key proves nothing."""
    own = tmp_path / "warmfork"
    if fault == "link":
        (tmp_path / "elsewhere").mkdir()
        own.symlink_to("elsewhere")
    else:
        own.mkdir(0o700)
        if fault == "owner":
            os.chown(own, 1234, 1234)
        else:
            own.chmod(0o777)
    assert ["ipc:///run/warmfork/warmfork.sock"] == candidate_addresses(None, {"XDG_RUNTIME_DIR": str(tmp_path)})

"""A real daemon that is watched: metrics over both sockets, hostile HTTP beside jobs, status, and top in a terminal."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support import Served, environment, wait_until

from warmfork import Client
from warmfork.cli.top_model import view_of
from warmfork.results import PHASES

LOOP = "while True: pass\n"
SECRET = "hunter2_and_more"


@pytest.fixture
def served(serve: Callable[..., Served], tmp_path: Path) -> Served:
    return serve(
        *("--pool-running-max", "2", "--pool-idle-workers", "2", "--no-template-rehearse"),
        *("--metrics-socket", str(tmp_path / "m.sock"), "--metrics-listen", "127.0.0.1:0"),
    )


def status_of(served: Served) -> dict[str, Any]:
    with served.client() as client:
        return dict(client.status())


def page_over_http(served: Served) -> str:
    url = next(address for address in status_of(served)["metrics"] if address.startswith("http"))
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())


def page_over_unix(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(str(path))
        made.settimeout(10)
        made.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        response = http.client.HTTPResponse(made)
        response.begin()
        return response.read().decode()


def samples_of(page: str) -> dict[str, float]:
    """Values by name and labels, as in the exposition itself."""
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def sample(page: str, name: str, **labels: str) -> float:
    return samples_of(page)[name + json.dumps(labels, sort_keys=True)]


def test_metrics_say_what_happened(served: Served, tmp_path: Path) -> None:
    """After a known set of jobs, the page over either socket has exactly their verdicts, kills, losses and refusals."""
    with served.client() as client:
        for code in ("print(1)", "print(2)", "1/0", "plt.plot([1]); plt.plot([2])", "print('x' * 1_000_000)"):
            client.execute(code)
        assert "timeout" == client.execute(LOOP, timeout_s=0.3).verdict
        with contextlib.suppress(Exception):
            client.execute("1", policy="off")
    wait_until(lambda: sample(page_over_http(served), "warmfork_workers", state="ending") == 0, "workers are reaped")
    unix, http_page = page_over_unix(tmp_path / "m.sock"), page_over_http(served)
    for page in (unix, http_page):
        by_verdict = {
            verdict: sample(page, "warmfork_jobs_total", template="science", verdict=verdict)
            for verdict in ("ok", "error", "timeout", "crashed")
        }
        assert {"ok": 4, "error": 1, "timeout": 1, "crashed": 0} == by_verdict
        assert 6 == sample(page, "warmfork_jobs_submitted_total")
        assert 6 == sample(page, "warmfork_job_run_seconds_count", template="science")
        assert 0.3 < sample(page, "warmfork_job_run_seconds_sum", template="science") < 60
        assert 1 == sample(page, "warmfork_charts_total", template="science")
        assert 1 == sample(page, "warmfork_kills_total", reason="timeout")
        assert 0 == sample(page, "warmfork_kills_total", reason="memory")
        assert 1_000_001 - 256 * 1024 == sample(page, "warmfork_dropped_bytes_total", stream="stdout")
        assert 1 == sample(page, "warmfork_refused_requests_total", code="policy_not_allowed")
        assert 1 == sample(page, "warmfork_template_up", template="science")
        assert 1 == sample(page, "warmfork_guard_proved", template="science")
        assert sample(page, "warmfork_forks_total", template="science") >= 8
        assert 2 == sample(page, "warmfork_template_workers_idle", template="science")
    assert set(samples_of(unix)) == set(samples_of(http_page))


def test_status_has_it_too(served: Served) -> None:
    """status --json tells running workers with their jobs, rates, quantiles, kills and failures; of errors their kind alone."""
    with served.client() as client:
        client.execute(f"class {SECRET}(Exception): pass\nraise {SECRET}('{SECRET}')")
        client.execute("raise KeyError('" + SECRET + "')")
        background = threading.Thread(target=lambda: client.execute(LOOP, job_id="ab" * 16))
        background.start()
        wait_until(lambda: status_of(served)["running"], "the job runs")
        wait_until(lambda: status_of(served)["rates"][1]["submitted"], "the second is over in which they came")
        command = [sys.executable, "-m", "warmfork", "status", "--json", "--address", served.address]
        text = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
        assert "running" == client.cancel("ab" * 16)
        background.join()
    answered = json.loads(text)
    assert SECRET not in text
    assert ["KeyError", "other"] == [row["error"] for row in answered["failures"]]
    assert [os.getuid()] * 2 == [row["uid"] for row in answered["failures"]]
    (busy,) = (row for row in answered["workers"]["list"] if row["state"] == "busy")
    assert ("ab" * 16, "science") == (busy["job_id"], busy["template"])
    assert busy["pid"] == answered["running"][0]["worker_pid"]
    assert busy["rss_bytes"] > 10 << 20
    assert [1, 10, 60] == [row["window_s"] for row in answered["rates"]]
    assert answered["rates"][1]["submitted"] >= 0.1
    assert ["queue", "run", "total"] == [row["phase"] for row in answered["latency"]["phases"]]
    assert 2 == answered["latency"]["jobs"] == len(answered["latency"]["recent_total_s"])
    assert 1 == answered["templates"][0]["generation"]
    assert answered["process"]["open_files"] > 5
    assert {"cancelled": 1} == status_of(served)["jobs"]["kills"]


class Asked(dict[str, Any]):
    """A map that notes which keys were asked for and are not there."""

    missing: set[str] = set()  # noqa: RUF012 - one for all parts of one status, which a test begins anew

    def get(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self.missing.add(name)
        return super().get(name, default)


def asked(value: Any) -> Any:
    if isinstance(value, dict):
        return Asked({name: asked(one) for name, one in value.items()})
    return [asked(one) for one in value] if isinstance(value, list) else value


def test_top_shows_what_status_tells(served: Served) -> None:
    """With jobs that run, wait and have failed, all that top looks for is in status; who waits is told by owner and tenant."""
    with served.client() as client:
        client.execute("1/0")
        callers = [
            threading.Thread(target=client.execute, args=(LOOP,), kwargs={"tenant": tenant, "job_id": f"{number:032x}"})
            for number, tenant in enumerate(["red", "red", "red", "red", "blue"])
        ]
        for caller in callers:
            caller.start()
        statuses: list[dict[str, Any]] = []

        def two_run() -> bool:
            statuses.append(status_of(served))
            return (len(statuses[-1]["running"]), statuses[-1]["queue"]["jobs"]) == (2, 3)

        wait_until(two_run, "two run and three wait")
        status = statuses[-1]
        for number in range(len(callers)):
            client.cancel(f"{number:032x}")
        for caller in callers:
            caller.join()
    Asked.missing = set()
    view = view_of(asked(status))
    assert set() == Asked.missing
    queue, me = status["queue"], os.getuid()
    assert (1, len(queue["list"])) == (queue["owners"], queue["tenants"])
    assert {me} == {row["uid"] for row in queue["list"]}
    assert 3 == sum(row["jobs"] for row in queue["list"])
    assert pytest.approx(1.0) == sum(row["turn_share"] for row in queue["list"])
    assert [(f"uid {me}", row["tenant"], str(row["jobs"])) for row in queue["list"]] == [
        row[:3] for row in view.queue.rows
    ]
    assert "mean job" in dict(view.facts)


def test_phases_of_real_jobs(served: Served, tmp_path: Path) -> None:
    """Sleeping is execution, drawing is rendering, all of it together is what the caller waited for; a killed job executed."""
    with served.client() as client:
        began_s = time.monotonic()
        drawn = client.execute("import time; time.sleep(0.3)\nplt.plot([1, 2])").usage
        waited_s = time.monotonic() - began_s
        broken = client.execute("1 +").usage.phases
        killed = client.execute(LOOP, timeout_s=0.4).usage
    spent = {name: getattr(drawn.phases, name) for name in PHASES}
    assert set() == {name for name, seconds in spent.items() if seconds <= 0}
    assert 0.3 <= spent["executed_s"] < drawn.wall_s
    assert drawn.queue_s == spent["queued_s"]
    assert pytest.approx(drawn.wall_s) == sum(list(spent.values())[1:6])
    assert sum(spent.values()) < waited_s
    assert broken.compiled_s > 0 < broken.rendered_s
    assert (killed.wall_s, 0.0) == (killed.phases.executed_s, killed.phases.rendered_s)
    page = page_over_unix(tmp_path / "m.sock")
    told = {
        name: sample(page, "warmfork_job_phase_seconds_total", template="science", phase=name.removesuffix("_s"))
        for name in PHASES
    }
    assert told["executed_s"] >= 0.7
    assert told["rendered_s"] >= spent["rendered_s"]
    assert 1 == sample(page, "warmfork_job_render_seconds_count", template="science")


def attack(address: Callable[[], socket.socket], done: threading.Event, kind: int) -> None:
    """Connections without end that say nothing, garbage, too much, or ask and do not read."""
    says = (b"", os.urandom(4_096), b"GET /metrics HTTP/1.1\r\n" + b"x" * 100_000, b"GET /metrics HTTP/1.1\r\n\r\n")[
        kind
    ]
    held: list[socket.socket] = []
    while not done.is_set():
        with contextlib.suppress(OSError):
            held.append(address())
            held[-1].sendall(says)
        while len(held) > 40:
            held.pop(0).close()
    for one in held:
        one.close()


def test_hostile_http_does_not_hurt_jobs(served: Served, tmp_path: Path) -> None:
    """While four peers flood the metrics, jobs are answered as always; afterwards no descriptor is left and the page is there."""

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(str(tmp_path / "m.sock"))
            made.settimeout(0.5)
        except OSError:
            made.close()
            done.wait(0.001)
            raise
        return made

    done = threading.Event()
    before = status_of(served)["process"]["open_files"]
    peers = [threading.Thread(target=attack, args=(connect, done, kind)) for kind in range(4)]
    for peer in peers:
        peer.start()
    try:
        with served.client() as client:
            started_s = time.monotonic()
            for number in range(25):
                assert f"{number}\n" == client.execute(f"print({number})", timeout_s=20).stdout
            assert time.monotonic() - started_s < 20
    finally:
        done.set()
        for peer in peers:
            peer.join()
    wait_until(lambda: status_of(served)["process"]["open_files"] <= before + 10, "its connections are closed")
    answered = {"template": "science", "verdict": "ok"}
    wait_until(
        lambda: sample(page_over_unix(tmp_path / "m.sock"), "warmfork_jobs_total", **answered) == 25, "a fresh page"
    )
    assert {"ok": 25} == status_of(served)["jobs"]["by_verdict"]


def test_the_sockets_go_with_the_daemon(served: Served, tmp_path: Path) -> None:
    """The metrics' socket is the owner's alone, and is gone when the daemon is."""
    path = tmp_path / "m.sock"
    assert 0o600 == path.stat().st_mode & 0o777
    served.stop()
    assert not path.exists()


class Terminal:
    """``warmfork top`` in a pseudo-terminal of its own."""

    def __init__(self, served: Served) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        command = [sys.executable, "-m", "warmfork", "top", "--interval", "0.1", "--address", served.address]
        env = environment(TERM="xterm-256color", LC_ALL="C.UTF-8")
        for name in ("COLUMNS", "LINES"):  # pytest-xdist sets them, and they would win over the terminal's own size
            env.pop(name, None)
        self.process = subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave)
        self.raw = ""

    def see(self) -> str:
        """All that was written so far."""
        while select.select([self.master], [], [], 0)[0]:
            self.raw += os.read(self.master, 65_536).decode("utf-8", "replace")
        return self.raw

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.see())

    def press(self, keys: str) -> None:
        self.raw = ""
        os.write(self.master, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(served: Served) -> Iterator[Terminal]:
    made = Terminal(served)
    yield made
    made.close()


def test_top_in_a_terminal(served: Served, terminal: Terminal) -> None:
    """It shows a running job, selects it, cancels it after a y, tells so, and q leaves the terminal as it was."""
    results: list[str] = []

    def run() -> None:
        with Client(served.address) as client:
            results.append(client.execute(LOOP, job_id="cd" * 16, timeout_s=100).verdict)

    caller = threading.Thread(target=run)
    caller.start()
    wait_until(lambda: "cd" * 6 in terminal.text, "the running job is shown")
    assert "\x1b[?1049h" in terminal.raw  # the other screen: what stood in the terminal comes back afterwards
    terminal.press("\x1b[B")
    wait_until(lambda: "\x1b[7m" in terminal.see(), "the job is selected")
    terminal.press("c")
    wait_until(lambda: f"cancel job {'cd' * 6}?" in terminal.text, "it asks")
    terminal.press("n")
    wait_until(lambda: "q quit" in terminal.text and f"cancel job {'cd' * 6}?" not in terminal.text, "it does not")
    terminal.press("c")
    wait_until(lambda: f"cancel job {'cd' * 6}?" in terminal.text, "it asks again")
    terminal.press("y")
    wait_until(lambda: f"cancelled job {'cd' * 6} (running)" in terminal.text, "it tells")
    caller.join(10)
    assert ["cancelled"] == results
    served.stop()
    wait_until(lambda: "no answer, what stands here is old" in terminal.text, "it tells that the daemon is gone")
    terminal.press("q")
    assert 0 == terminal.process.wait(10)
    assert "\x1b[?1049l" in terminal.see()
    assert terminal.before == termios.tcgetattr(terminal.slave)

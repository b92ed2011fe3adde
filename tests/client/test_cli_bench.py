"""``warmfork bench``: the report of a short run against a real daemon, and its load without one."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from warmfork import Client, cli, places
from warmfork.cli import bench as bench_command
from warmfork.cli.bench_load import Answer, Load, ask, levels_up_to
from warmfork.cli.bench_workloads import ALL
from warmfork.embedding import EmbeddedDaemon
from warmfork.errors import DaemonUnreachable


@pytest.fixture(scope="module")
def daemon() -> Iterator[EmbeddedDaemon]:
    daemon = EmbeddedDaemon(workers=2)
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def client(daemon: EmbeddedDaemon) -> Iterator[Client]:
    with Client(daemon.address, key=daemon.key) as client:
        yield client


@pytest.fixture
def running(daemon: EmbeddedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that the command finds by the environment, as its users' daemon is found."""
    (tmp_path / "key").write_bytes(daemon.key)
    monkeypatch.setenv("WARMFORK_ADDRESS", daemon.address)
    monkeypatch.setenv("WARMFORK_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("running")
def test_a_second_of_load_makes_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Samples, table and plots are written, every job has ended as it should, and the table is printed."""
    assert 0 == cli.main(["bench", "--seconds", "1", "--callers", "2", "--out", "report"])
    told = json.loads(Path("report/report.json").read_text())
    assert ["T"] == list(told["workloads"])
    levels = told["workloads"]["T"]["levels"]
    assert [1, 2] == [level["callers"] for level in levels]
    for level in levels:
        assert {"ok": len(level["taken_s"])} == level["outcomes"]
        assert level["jobs_per_s"] * level["seconds"] == pytest.approx(len(level["taken_s"]))
    assert not told["daemon"]["private"]
    page = Path("report/report.md").read_text()
    assert "the running daemon" in page
    assert "| callers | jobs/s |" in page
    for name in ("latency.png", "load.png"):
        assert b"\x89PNG" == Path("report", name).read_bytes()[:4]
        assert f"({name})" in page
    captured = capsys.readouterr()
    assert "T: print(1 + 1)" in captured.out
    assert "warmfork: wrote report/report.md" in captured.err


@pytest.mark.usefixtures("running")
def test_without_matplotlib_there_is_a_report_without_plots(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client's environment need not have it; the command says what is missing and writes the rest."""
    monkeypatch.delattr(cli, "bench_plots", raising=False)
    monkeypatch.setitem(sys.modules, "warmfork.cli.bench_plots", None)
    assert 0 == cli.main(["bench", "--seconds", "0.1", "--callers", "1", "--out", "report"])
    assert ["report.json", "report.md"] == sorted(path.name for path in Path("report").iterdir())
    assert "no plots" in capsys.readouterr().err
    assert ".png" not in Path("report/report.md").read_text()


def test_without_a_daemon_a_private_one_is_measured(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where none answers, one is started for the measurement, and the report says that it was private."""

    @contextlib.contextmanager
    def embedded() -> Iterator[Client]:
        yield client

    monkeypatch.setattr(bench_command, "embedded", embedded)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(places, "SYSTEM_RUNTIME_DIR", str(tmp_path / "system"))  # one may be installed here
    monkeypatch.delenv("WARMFORK_ADDRESS", raising=False)
    out = tmp_path / "report"
    assert 0 == cli.main(["bench", "--seconds", "0.1", "--callers", "1", "--out", str(out)])
    assert json.loads((out / "report.json").read_text())["daemon"]["private"]
    assert "starting a private one" in capsys.readouterr().err


def test_an_address_without_a_daemon_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names a daemon does not want another one measured."""
    monkeypatch.chdir(tmp_path)
    assert 69 == cli.main(["bench", "--address", f"ipc://{tmp_path}/none", "--out", "report"])
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("out", ["file", "file/report", "dangling"])
def test_a_place_that_cannot_be_is_told_before(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report that could not be written is not measured first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert 2 == cli.main(["bench", "--address", f"ipc://{tmp_path}/none", "--out", out])
    assert "cannot make the directory" in capsys.readouterr().err


def test_each_caller_sends_a_job_in_however_short_a_time() -> None:
    """A level whose time is over before it began has one job of each caller, and a length."""
    level = Load(lambda: Answer("ok"), 3, 1e-9).run()
    assert {"ok": 3} == level.outcomes
    assert level.seconds > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workload", "T,Q"],
        ["--workload", ""],
        ["--callers", "0"],
        ["--callers", "65"],
        ["--callers", "²"],
        ["--seconds", "601"],
        ["--seconds", "0"],
    ],
)
def test_load_is_bounded(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What would be more load than a running service should get by mistake is refused before anything is sent."""
    assert 2 == cli.main(["bench", *arguments])
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize("letter", sorted(ALL))
def test_every_workload_gives_what_it_says(client: Client, letter: str) -> None:
    """Each text runs under the default policy, prints what its record has, and comes back with its charts."""
    assert "ok" == ask(client, ALL[letter]).outcome


@pytest.mark.usefixtures("running")
def test_jobs_that_end_otherwise_are_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report in which some jobs did not end as they should is written, and the command fails."""
    monkeypatch.setattr(bench_command, "ask", lambda _client, _workload: Answer("timeout"))
    assert 1 == cli.main(["bench", "--seconds", "0.1", "--callers", "1", "--out", "report"])
    assert " timeout |" in Path("report/report.md").read_text()


def test_levels_double_up_to_the_most() -> None:
    """The last level is what was asked for, whether or not it is a power of two."""
    assert (1,) == levels_up_to(1)
    assert (1, 2, 4) == levels_up_to(4)
    assert (1, 2, 4, 6) == levels_up_to(6)


def test_callers_call_at_the_same_time() -> None:
    """Every caller has a call under way while the others have theirs."""
    together = threading.Barrier(3, timeout=20)

    class Enough(Exception):
        pass

    def call() -> Answer:
        together.wait()
        raise Enough

    with pytest.raises(Enough):
        Load(call, 3, 60.0).run()


def test_a_caller_that_fails_ends_the_load() -> None:
    """What one caller meets is raised, and the others send nothing more."""
    calls: list[int] = []

    def call() -> Answer:
        calls.append(1)
        raise DaemonUnreachable("gone")

    with pytest.raises(DaemonUnreachable, match="gone"):
        Load(call, 2, 60.0).run()
    assert len(calls) <= 2


def test_refused_jobs_are_counted_and_not_timed() -> None:
    """Latencies and phases are those of jobs that ended as they should; the others are in the outcomes."""
    first = iter([Answer("rejected", pause_s=0.001), Answer("wrong answer")])
    pause = threading.Event()

    def call() -> Answer:
        pause.wait(0.01)
        return next(first, Answer("ok", {"run": 0.5}))

    level = Load(call, 1, 1.0).run()
    assert 1 == level.outcomes["rejected"]
    assert 1 == level.outcomes["wrong answer"]
    assert 0 < level.outcomes["ok"] == len(level.taken_s) == len(level.phases_s["run"])


def test_every_phase_has_a_colour_of_its_own() -> None:
    """And every system of the suite in bench/, of which there are ten."""
    from warmfork.cli.bench_plots import COLORS

    assert len(set(COLORS)) == len(COLORS) >= 10

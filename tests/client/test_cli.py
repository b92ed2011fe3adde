"""The command ``warmfork`` without a daemon: arguments, output, files, exit codes."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import warmfork
from warmfork import cli
from warmfork.cli import run as run_command
from warmfork.cli import status as status_command
from warmfork.cli.exits import CODE_OF
from warmfork.cli.sizes import parse_seconds, parse_size, show_bytes, show_seconds
from warmfork.cli.terminal import harmless, write_job_text
from warmfork.errors import DaemonUnreachable, ExtraMissing, RequestRefused, SignatureError
from warmfork.results import PHASES, VERDICTS, Chart, Dropped, ErrorInfo, Phases, Result, Usage, Verdict

JOB = "ab" * 16
PNG = b"\x89PNG not really"


class FakeClient:
    """Has the shape of Client; what it answers is set by the test."""

    answer: Result | Exception = Result(JOB, "ok")
    requests: list[dict[str, Any]]
    status_answer: Mapping[str, Any] = {}

    def __init__(self, address: str | None = None, **keys: Any) -> None:
        self.address = address
        self.keys = {name: value for name, value in keys.items() if value is not None}

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, code: str, **request: Any) -> Result:
        self.requests.append({"code": code, "address": self.address, **self.keys, **request})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def status(self) -> Mapping[str, Any]:
        return self.status_answer


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeClient]:
    class Fake(FakeClient):
        requests: list[dict[str, Any]] = []  # noqa: RUF012

    monkeypatch.setattr(run_command, "Client", Fake)
    monkeypatch.setattr(status_command, "Client", Fake)
    monkeypatch.chdir(tmp_path)
    Path("job.py").write_text("print('hi')\n")
    return Fake


def chart(data: bytes = PNG, **fields: Any) -> Chart:
    return Chart(data, **{"media_type": "image/png", "width_px": 640, "height_px": 480, "figure_number": 1, **fields})


def names(directory: Path = Path()) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.name != "job.py")


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("ok", 0),
        ("error", 1),
        ("rejected", 75),
        ("timeout", 124),
        ("cpu_limit", 152),
        ("crashed", 134),
        ("memory_limit", 137),
        ("disk_limit", 153),
        ("cancelled", 130),
        ("lost", 69),
    ],
)
def test_each_verdict_has_its_exit_code_and_a_line(
    client: type[FakeClient], capfdbinary: pytest.CaptureFixture[bytes], verdict: Verdict, code: int
) -> None:
    """The code is the one of ARCHITECTURE.md; every verdict but ok and error is explained in one line on stderr."""
    error = None if verdict == "ok" else ErrorInfo("Word", "what happened\nto it", traceback="told")
    client.answer = Result(JOB, verdict, "out\n", "err\n", error)
    assert code == cli.main(["run", "job.py"])
    captured = capfdbinary.readouterr()
    explained = "" if verdict in ("ok", "error") else f"warmfork: {verdict}: what happened to it\n"
    assert (b"out\n", b"err\n" + explained.encode()) == (captured.out, captured.err)


def test_the_exit_codes_cover_every_verdict() -> None:
    """A new verdict cannot be forgotten."""
    assert set(VERDICTS) == set(CODE_OF)


def test_arguments_reach_the_client(client: type[FakeClient]) -> None:
    """Every option of ``run`` becomes an argument of ``execute``."""
    Path("data").mkdir()
    Path("data/in.csv").write_bytes(b"1")
    Path("input.txt").write_bytes(b"line\n")
    outside = Path("job.py").absolute()
    arguments = ["--timeout", "2.5", "--memory", "512M", "--format", "svg,png", "--policy", "standard"]
    arguments += ["--var", "n=1", "--var", 'name="x=y"', "--file", "./data/in.csv", "--file", str(outside)]
    arguments += ["--stdin", "input.txt", "--template", "light", "--address", "tcp://10.0.0.7:7070"]
    arguments += ["--key-file", "k", "--server-key-file", "s.key", "--client-key-file", "c.key_secret", "--redact"]
    arguments += ["--tenant", "t", "--priority", "batch", "--retry-for", "30"]
    assert 0 == cli.main(["run", "job.py", *arguments])
    (request,) = client.requests
    job_id = request.pop("job_id")
    assert 16 == len(bytes.fromhex(job_id))
    expected = {
        "code": "print('hi')\n",
        "address": "tcp://10.0.0.7:7070",
        "key_file": "k",
        "server_key_file": "s.key",
        "client_key_file": "c.key_secret",
        "redact": True,
        "tenant": "t",
        "priority": "batch",
        "retry_for_s": 30.0,
        "timeout_s": 2.5,
        "memory_bytes": 512 << 20,
        "formats": ("svg", "png"),
        "policy": "standard",
        "template": "light",
        "variables": {"n": 1, "name": "x=y"},
        "files": {"data/in.csv": b"1", "job.py": b"print('hi')\n"},
        "stdin": b"line\n",
    }
    del request["on_output"]
    assert expected == request


def test_code_from_stdin(client: type[FakeClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """'-' reads the code from stdin, in the encoding it declares."""
    source = "# -*- coding: latin-1 -*-\nprint('é')\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(source.encode("latin-1"))))
    assert 0 == cli.main(["run", "-"])
    assert source == client.requests[0]["code"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["run"],
        ["run", "missing.py"],
        ["run", "."],
        ["run", "binary.py"],
        ["run", "nul\0.py"],
        ["run", "-", "--stdin", "-"],
        ["run", "job.py", "--timeout", "0"],
        ["run", "job.py", "--timeout", "nan"],
        ["run", "job.py", "--memory", "5X"],
        ["run", "job.py", "--memory", "-1"],
        ["run", "job.py", "--var", "x"],
        ["run", "job.py", "--var", "x=abc"],
        ["run", "job.py", "--var", "if=1"],
        ["run", "job.py", "--format", "gif"],
        ["run", "job.py", "--format", ""],
        ["run", "job.py", "--policy", "none"],
        ["run", "job.py", "--address", "somewhere"],
        ["run", "job.py", "--file", "missing.csv"],
        ["run", "job.py", "--file", "job.py", "--file", "./job.py"],
        ["run", "job.py", "--stdin", "missing.txt"],
        ["run", "job.py", "--out", "job.py"],
        ["run", "job.py", "--out", "/proc/none"],
        ["run", "job.py", "--time", "1"],
    ],
)
def test_what_is_typed_wrong_is_one_line_and_code_2(
    client: type[FakeClient], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A usage error is one line on stderr, and nothing is submitted."""
    Path("binary.py").write_bytes(b"\xff\xfe\x00")
    assert 2 == cli.main(arguments)
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith("warmfork: ")
    assert 1 == captured.err.count("\n")
    assert not client.requests


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (DaemonUnreachable("gone"), 69),
        (SignatureError("forged"), 69),
        (RequestRefused("policy_not_allowed", "no"), 2),
        (ValueError("timeout_s is too large"), 2),
        (ExtraMissing("type this"), 2),
    ],
)
def test_errors_of_the_client_are_one_line(
    client: type[FakeClient], capsys: pytest.CaptureFixture[str], problem: Exception, code: int
) -> None:
    """No traceback for what the library reports by itself."""
    client.answer = problem
    assert code == cli.main(["run", "job.py", "--address", "ipc:///a"])
    assert f"warmfork: {problem}\n" == capsys.readouterr().err


def test_a_private_daemon_steps_in_where_none_runs(
    client: type[FakeClient], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --address the job runs on a private daemon, told only with -v."""

    class Private(FakeClient):
        requests: list[dict[str, Any]] = []  # noqa: RUF012
        answer = Result(JOB, "ok", "private\n")

    @contextmanager
    def embedded(*, policy: str, workers: int, settings: dict[str, Any]) -> Iterator[Private]:
        yield Private()

    client.answer = DaemonUnreachable("no daemon answered")
    monkeypatch.setattr(run_command, "embedded", embedded)
    assert 0 == cli.main(["run", "job.py"])
    assert ("private\n", "") == capsys.readouterr()
    assert 0 == cli.main(["run", "job.py", "-v"])
    assert "warmfork: no daemon answered; starting a private daemon for this job\n" == capsys.readouterr().err
    assert 69 == cli.main(["run", "job.py", "--address", "ipc:///a"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--template", "science"], {}),
        (["--template", "light"], {"template.rehearse": False, "templates.light.base": "none"}),
        (["--template", "nobody"], {"template.rehearse": False}),
    ],
)
def test_a_private_daemon_has_the_template_that_is_named(
    client: type[FakeClient], monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: dict[str, Any]
) -> None:
    """Light is known without a file; what nobody describes is left to the daemon to refuse."""
    assert {"pool.light": "off", **expected} == _settings_of_private(client, monkeypatch, arguments)


def test_a_private_daemon_takes_the_template_from_the_file(
    client: type[FakeClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A template that the user's configuration describes exists where no daemon runs, too."""
    (tmp_path / "w.toml").write_text("[templates.stats]\npreload = ['scipy']\n[limits]\ntimeout_s = 7\n")
    monkeypatch.setenv("WARMFORK_CONFIG", str(tmp_path / "w.toml"))
    told = _settings_of_private(client, monkeypatch, ["--template", "stats"])
    assert ("scipy",) == told["templates.stats.preload"]
    assert not [key for key in told if key.startswith("limits.")]


def _settings_of_private(
    client: type[FakeClient], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> dict[str, Any]:
    told: list[dict[str, Any]] = []

    class Private(FakeClient):
        requests: list[dict[str, Any]] = []  # noqa: RUF012
        answer = Result(JOB, "ok", "private\n")

    @contextmanager
    def embedded(*, policy: str, workers: int, settings: dict[str, Any]) -> Iterator[Private]:
        told.append(settings)
        yield Private()

    client.answer = DaemonUnreachable("no daemon answered")
    monkeypatch.setattr(run_command, "embedded", embedded)
    assert 0 == cli.main(["run", "job.py", *arguments])
    return told[0]


def test_ctrl_c_cancels_the_job_and_shows_its_output_so_far(
    client: type[FakeClient],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """An interrupt while waiting cancels by the job's id; what came out until then is printed; the code is 130."""
    cancelled: list[str] = []
    ended = threading.Event()
    # What a shell without job control starts in the background has the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def execute(self: FakeClient, code: str, **arguments: Any) -> Result:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert ended.wait(10)
        return Result(arguments["job_id"], "cancelled", "half\n", error=ErrorInfo("Cancelled", "by its client"))

    def cancel(self: FakeClient, job_id: str) -> str:
        cancelled.append(job_id)
        ended.set()
        return "running"

    monkeypatch.setattr(client, "execute", execute)
    monkeypatch.setattr(client, "cancel", cancel, raising=False)
    assert 130 == cli.main(["run", "job.py"])
    captured = capsys.readouterr()
    assert "half\n" == captured.out
    assert "\nwarmfork: cancelling the job\nwarmfork: cancelled: by its client\n" == captured.err
    assert 1 == len(cancelled)


def test_charts_are_saved_and_told(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """A figure becomes chart-N with N counting figures, a saved image keeps its base name; stderr says where."""
    charts = (
        chart(b"saved", figure_number=None, file_name="plots/a.png"),
        chart(b"one", figure_number=1),
        chart(b"one-svg", figure_number=1, media_type="image/svg+xml"),
        chart(b"two", figure_number=7),
        chart(b"hidden", figure_number=None, file_name=".profile\n"),
    )
    client.answer = Result(JOB, "ok", charts=charts, files={"plots/a.png": b"saved", "t.csv": b"1"})
    assert 0 == cli.main(["run", "job.py", "--out", "made/here"])
    assert ["a.png", "chart-1.png", "chart-1.svg", "chart-2.png", "profile_"] == names(Path("made/here"))
    assert b"two" == Path("made/here/chart-2.png").read_bytes()
    lines = capsys.readouterr().err.splitlines()
    assert "warmfork: saved made/here/a.png (image/png, 640 x 480 px)" == lines[0]
    assert "warmfork: the code wrote 1 other file; --save-files saves them too" == lines[-1]


def test_files_of_the_user_are_never_replaced_unless_asked(client: type[FakeClient]) -> None:
    """Other bytes lead to the next free name, the same bytes to no copy, --overwrite to the name itself."""
    client.answer = Result(JOB, "ok", charts=(chart(b"new"),))
    Path("chart-1.png").write_bytes(b"mine")
    for _ in range(2):
        assert 0 == cli.main(["run", "job.py"])
    assert ["chart-1-2.png", "chart-1.png"] == names()
    assert b"mine" == Path("chart-1.png").read_bytes()
    assert 0 == cli.main(["run", "job.py", "--overwrite"])
    assert b"new" == Path("chart-1.png").read_bytes()
    assert ["chart-1-2.png", "chart-1.png"] == names()


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_chart_is_never_written_through_a_link(client: type[FakeClient], options: list[str]) -> None:
    """A symbolic link that has the chart's name is left alone, and so is what it leads to."""
    Path("target").write_bytes(b"mine")
    os.symlink("target", "chart-1.png")
    client.answer = Result(JOB, "ok", charts=(chart(b"new"),))
    assert 0 == cli.main(["run", "job.py", *options])
    assert (b"mine", True) == (Path("target").read_bytes(), Path("chart-1.png").is_symlink())
    assert b"new" == Path("chart-1-2.png").read_bytes()


def test_two_charts_of_one_name_are_both_kept(client: type[FakeClient]) -> None:
    """Equal base names from two directories do not replace each other, not even with --overwrite."""
    charts = tuple(chart(data, figure_number=None, file_name=f"{data.decode()}/x.png") for data in (b"a", b"b"))
    client.answer = Result(JOB, "ok", charts=charts)
    assert 0 == cli.main(["run", "job.py", "--overwrite"])
    assert [b"a", b"b"] == [Path("x.png").read_bytes(), Path("x-2.png").read_bytes()]


def test_other_files_are_saved_on_request(client: type[FakeClient]) -> None:
    """--save-files writes what the code left, under its own path, charts not twice."""
    charts = (chart(figure_number=None, file_name="a.png"),)
    client.answer = Result(JOB, "ok", charts=charts, files={"a.png": PNG, "sub/t.csv": b"1"})
    assert 0 == cli.main(["run", "job.py", "--out", "o", "--save-files"])
    assert ["a.png", "sub", "sub/t.csv"] == names(Path("o"))


def test_a_link_out_of_the_directory_is_not_followed(client: type[FakeClient], tmp_path: Path) -> None:
    """A job's file below a linked directory is not written."""
    (tmp_path / "elsewhere").mkdir()
    Path("o").mkdir()
    os.symlink(tmp_path / "elsewhere", "o/sub")
    client.answer = Result(JOB, "ok", files={"sub/t.csv": b"1"})
    assert 1 == cli.main(["run", "job.py", "--out", "o", "--save-files"])
    assert [] == names(tmp_path / "elsewhere")


def test_json_has_everything_but_the_bytes(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object with every field of the result, charts by the path they were saved to."""
    client.answer = Result(
        JOB,
        "error",
        "o\x1b\u4e2d\ud800",
        "e",
        ErrorInfo("ValueError", "no", 3, "trace"),
        (chart(title="T"),),
        {"t.csv": b"12"},
        Usage(1.0, 0.5, 7, 0.25, Phases(0.25, rendered_s=0.125)),
        Dropped(1, 2, 3, 4),
        exit_code=1,
        policy="strict",
    )
    assert 1 == cli.main(["run", "job.py", "--json"])
    captured = capsys.readouterr()
    assert ("", True) == (captured.err, captured.out.isascii())
    told = json.loads(captured.out)
    assert set(Result.__struct_fields__) | {"ok"} == set(told)
    assert "o\x1b\u4e2d\ud800" == told["stdout"]
    assert {"type": "ValueError", "message": "no", "line": 3, "traceback": "trace"} == told["error"]
    assert [("chart-1.png", "T", len(PNG))] == [(c["path"], c["title"], c["size_bytes"]) for c in told["charts"]]
    assert [{"name": "t.csv", "size_bytes": 2, "path": None}] == told["files"]
    phases = dict.fromkeys(PHASES, 0.0) | {"queued_s": 0.25, "rendered_s": 0.125}
    usage = {"wall_s": 1.0, "cpu_s": 0.5, "peak_memory_bytes": 7, "queue_s": 0.25, "phases": phases}
    assert usage == told["usage"]


def test_verbose_tells_where_the_time_went(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """With -v the cost and every phase in order are told on stderr; nothing of it without, or of a job that did not run."""
    client.answer = Result(JOB, "ok", usage=Usage(1.0, 0.5, 7, 0.25, Phases(0.25, 0.001, rendered_s=0.125)))
    assert 0 == cli.main(["run", "job.py", "-v"])
    cost, phases = capsys.readouterr().err.splitlines()
    assert "warmfork: CPU 500 ms, memory 7 bytes at most" == cost
    assert phases.startswith("warmfork: queued 250 ms, dispatched 1 ms, compiled 0 ms, executed 0 ms, rendered 125 ms")
    assert 0 == cli.main(["run", "job.py"])
    client.answer = Result(JOB, "rejected")
    cli.main(["run", "job.py", "-v"])
    assert "CPU" not in capsys.readouterr().err


def test_dropped_charts_and_files_are_told(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """What was over the limits does not vanish silently."""
    client.answer = Result(JOB, "ok", dropped=Dropped(charts=1, files=2))
    assert 0 == cli.main(["run", "job.py"])
    lines = ["warmfork: 1 chart over the limits dropped", "warmfork: 2 files over the limits, or not regular, dropped"]
    assert lines == capsys.readouterr().err.splitlines()


def test_an_exit_code_without_traceback_is_told(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """An error that the job's own stderr does not show gets a line; one that it shows does not."""
    client.answer = Result(JOB, "error", error=ErrorInfo("SystemExit", "the code called sys.exit(3)"))
    assert 1 == cli.main(["run", "job.py"])
    assert "warmfork: SystemExit: the code called sys.exit(3)\n" == capsys.readouterr().err
    client.answer = Result(JOB, "error", stderr="boom\n", error=ErrorInfo("SystemExit", "boom"))
    assert 1 == cli.main(["run", "job.py"])
    assert "boom\n" == capsys.readouterr().err


def test_retry_is_told(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """A rejection says when to try again, a loss whether the job may have run."""
    error = ErrorInfo("Rejected", "the queue is full.")
    client.answer = Result(JOB, "rejected", error=error, retry_after_s=2.5, retry_safe=True)
    assert 75 == cli.main(["run", "job.py"])
    client.answer = Result(JOB, "lost", error=ErrorInfo("Lost", "gone."), retry_safe=False)
    assert 69 == cli.main(["run", "job.py"])
    expected = [
        "warmfork: rejected: the queue is full. (try again in 2.5 s)",
        "warmfork: lost: gone. (it may have run)",
    ]
    assert expected == capsys.readouterr().err.splitlines()


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u4e2d\ttext\n", "plain \u4e2d\ttext\n"),
        ("\x1b]0;title\x07\x1b[31m", "\\x1b]0;title\\x07\\x1b[31m"),
        ("a\rb\r\nc", "a\\rb\nc"),
        ("\x9b31m\x7f\u202e\u2028", "\\x9b31m\\x7f\\u202e\\u2028"),
    ],
)
def test_a_terminal_gets_no_control_characters(text: str, shown: str) -> None:
    """Escapes, controls and direction marks are written out, text and line ends stay."""
    assert shown == harmless(text)


def test_a_terminal_is_written_harmlessly_and_a_pipe_raw() -> None:
    """The same text reaches a terminal escaped and a pipe as it is, whatever encoding the stream has."""
    text = "\x1b[1m\u4e2d\n"
    terminal = Terminal(io.BytesIO(), encoding="ascii")
    write_job_text(text, terminal)
    assert b"\\x1b[1m\\u4e2d\n" == terminal.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    write_job_text(text, pipe)
    assert text.encode() == pipe.buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("1G", 1 << 30), ("1.5k", 1536), ("2 TiB", 2 << 40), ("7", 7), ("1mb", 1 << 20)],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    """Letters of either case, with or without iB."""
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["", "M", "0", "-1", "1e3", "5X", "0.0001", "1" * 40, "\u0661"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(argparse.ArgumentTypeError, match="not a size"):
        parse_size(text)


def test_times_and_sizes_are_shown_for_people() -> None:
    """Units grow with the number."""
    assert ["12 ms", "4.21 s", "3 min 20 s", "5 h 12 min", "2 d 3 h"] == [
        show_seconds(value) for value in (0.012, 4.21, 200, 18_720, 183_600)
    ]
    assert ["512 bytes", "1.5 KiB", "1.0 GiB"] == [show_bytes(value) for value in (512, 1536, 1 << 30)]
    assert 10.0 == parse_seconds("10s")


def test_status_for_people_and_programs(client: type[FakeClient], capsys: pytest.CaptureFixture[str]) -> None:
    """The table has units; --json has the plain data."""
    status = {
        "version": "0.1.0",
        "uptime_s": 200.0,
        "queue": {"jobs": 0, "size_bytes": 2048},
        "running": [{"pid": 7, "evil\x1b": "\x1b[31m"}],
        "system": False,
        "none": None,
        "jobs": {},
    }
    client.status_answer = status
    assert 0 == cli.main(["status"])
    lines = capsys.readouterr().out.splitlines()
    expected = [
        "version  0.1.0",
        "uptime   3 min 20 s",
        "system   no",
        "none     -",
        "jobs     -",
        "queue",
        "  jobs  0",
        "  size  2.0 KiB",
        "running",
        "  pid  evil\\x1b",
        "  7    \\x1b[31m",
    ]
    assert expected == lines
    assert 0 == cli.main(["status", "--json"])
    assert status == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["serve"], ["config"], ["serve", "--help"]])
@pytest.mark.parametrize("missing", ["warmfork_daemon", "psutil"])
def test_a_missing_extra_is_one_friendly_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], missing: str
) -> None:
    """Where the daemon's libraries cannot be imported, the command says what to type and ends with 2."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "warmfork_daemon":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert 2 == cli.main(arguments)
    error = capsys.readouterr().err
    assert "pip install 'warmfork[daemon]'" in error
    assert 1 == error.count("\n")


def test_config_prints_the_effective_configuration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Flags are in it, and a wrong value is one line that names the key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert 0 == cli.main(["config", "--limits-timeout-s", "33"])
    assert "33" in capsys.readouterr().out
    assert 2 == cli.main(["config", "--limits-timeout-s", "soon"])
    error = capsys.readouterr().err
    assert "limits.timeout_s" in error
    assert 1 == error.count("\n")


@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["serve"], ["config"]])
def test_help_teaches(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """Each help has examples, the ones about running the exit codes too."""
    assert 0 == cli.main([*command, "--help"])
    text = capsys.readouterr().out
    assert "examples:" in text
    if command in ([], ["run"]):
        assert not [code for code in CODE_OF.values() if f" {code} " not in text]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names the package's."""
    assert 0 == cli.main(["--version"])
    assert f"warmfork {warmfork.__version__}\n" == capsys.readouterr().out

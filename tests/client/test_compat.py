"""CONTRACT rows 10, 13, 17 to 23 and 25: the shim's own half, over a client that answers what the test wants."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warmfork import compat
from warmfork.compat import AsyncCodeExecutor
from warmfork.errors import DaemonUnreachable, RequestRefused
from warmfork.results import Chart, Dropped, ErrorInfo, Result, Verdict

JOB = "0" * 32
Answer = Callable[..., Result]


class FakeDaemons:
    """What stands in for the daemons: how a running one answers, and the private ones that were started."""

    def __init__(self) -> None:
        self.running: Answer | None = None
        self.private: Answer | None = None
        self.requests: list[dict[str, Any]] = []
        self.started: list[Any] = []
        self.stopped: list[Any] = []


class FakeClient:
    """Has the shape of AsyncClient."""

    daemons: FakeDaemons

    def __init__(self, address: str | None = None, *, key_file: Any = None, key: bytes | None = None) -> None:
        self.address = address

    async def __aenter__(self) -> FakeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def execute(self, code: str, **request: Any) -> Result:
        private = (self.address or "").startswith("private")
        answer = self.daemons.private if private else self.daemons.running
        if answer is None or (private and self.address != f"private-{len(self.daemons.started)}"):
            raise DaemonUnreachable("no daemon answered")
        self.daemons.requests.append({"code": code, "address": self.address, **request})
        await asyncio.sleep(0)
        return answer(code, **request)


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch) -> FakeDaemons:
    fake = FakeDaemons()

    class FakeEmbedded:
        key = b"k" * 32

        def __init__(self, *, policy: str) -> None:
            self.address = ""

        def start(self) -> None:
            fake.started.append(self)
            self.address = f"private-{len(fake.started)}"

        def stop(self) -> None:
            fake.stopped.append(self)

    FakeClient.daemons = fake
    monkeypatch.setattr(compat, "AsyncClient", FakeClient)
    monkeypatch.setattr(compat, "EmbeddedDaemon", FakeEmbedded)
    monkeypatch.setattr(compat, "_shared_daemon", compat._SharedDaemon())
    return fake


def answering(verdict: Verdict = "ok", **fields: Any) -> Answer:
    return lambda code, **request: Result(JOB, verdict, **fields)


def run(executor: AsyncCodeExecutor, code: str = "pass", timeout: float | None = None) -> dict[str, Any]:
    return asyncio.run(executor.execute(code, timeout))


@pytest.fixture
def executor(daemons: FakeDaemons, tmp_path: Path) -> AsyncCodeExecutor:
    return AsyncCodeExecutor(str(tmp_path / "work"))


@pytest.mark.parametrize(("timeout", "shown"), [(None, "120"), (5, "5"), (0.5, "0.5")])
def test_row_10_timeout_keeps_its_text_and_the_output_so_far(
    daemons: FakeDaemons, executor: AsyncCodeExecutor, timeout: float | None, shown: str
) -> None:
    """A timeout says so in the earlier words, with the limit as it was given, and keeps both streams."""
    error = ErrorInfo("Timeout", "over its time")
    daemons.running = answering("timeout", stdout="half\n", stderr="warned\n", error=error)
    expected = {
        "stdout": "half\n",
        "stderr": f"ExecutionTimeout: code execution exceeded {shown}s limit\nwarned\n",
        "error": True,
        "chart_base64": None,
    }
    assert expected == run(executor, timeout=timeout)
    assert (120 if timeout is None else timeout) == daemons.requests[0]["timeout_s"]


def test_row_10_a_timeout_without_output_has_only_the_notice(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """The text of row 18 does not stand in for the empty output of a job that was killed."""
    daemons.running = answering("timeout", error=ErrorInfo("Timeout", "over its time"))
    answer = run(executor, timeout=3)
    assert ("", "ExecutionTimeout: code execution exceeded 3s limit") == (answer["stdout"], answer["stderr"])


def test_row_13_both_streams_are_redacted_then_cut(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """Secrets are masked and each stream ends at 2,000 characters with the notice."""
    text = "password=hunter2\n" + "x" * 3_000
    daemons.running = answering(stdout=text, stderr=text)
    answer = run(executor)
    masked = "password=[REDACTED]\n"
    expected = masked + "x" * (2_000 - len(masked)) + "... [OUTPUT TRUNCATED FOR SECURITY]"
    assert (expected, expected) == (answer["stdout"], answer["stderr"])


def test_row_13_a_secret_at_the_edge_of_dropped_output_is_not_shown(
    daemons: FakeDaemons, executor: AsyncCodeExecutor
) -> None:
    """Where the daemon cut the middle out, what touches the cut is masked, and the cut is told."""
    daemons.running = answering(
        stdout="begin\nsk-half-of-a-key\n... [77 bytes dropped] ...\nother-half\nend\n",
        dropped=Dropped(stdout_bytes=77),
    )
    assert "begin\n[REDACTED]\n... [77 bytes dropped] ...\n[REDACTED]\nend\n" == run(executor)["stdout"]


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ({1: (2, 3)}, {"1": [2, 3]}),
        ([1.5, None, True, "x"], [1.5, None, True, "x"]),
        ({1, 2} - {2}, "{1}"),
        (Path("a"), "a"),
        (b"x", "b'x'"),
    ],
)
def test_row_17_variables_take_a_json_round_trip(
    daemons: FakeDaemons, executor: AsyncCodeExecutor, given: Any, carried: Any
) -> None:
    """JSON values arrive as JSON makes them, others as ``str(value)``; ``get_variable`` gives back what was set."""
    daemons.running = answering()
    executor.set_variable("value", given)
    run(executor)
    assert {"value": carried} == daemons.requests[0]["variables"]
    assert given == executor.get_variable("value")
    assert executor.get_variable("other") is None


def test_row_18_the_result_has_four_keys_and_a_text_for_no_output(
    daemons: FakeDaemons, executor: AsyncCodeExecutor
) -> None:
    """Empty stdout becomes the earlier system's sentence, for code that raised too."""
    daemons.running = answering()
    expected = {"stdout": "Run completed with no output.", "stderr": "", "error": False, "chart_base64": None}
    assert expected == run(executor)
    trace = "Traceback (most recent call last):\nValueError: no\n"
    daemons.running = answering("error", stderr=trace, error=ErrorInfo("ValueError", "no", 1, trace))
    assert {**expected, "error": True, "stderr": trace} == run(executor)


def test_row_19_the_chart_is_the_first_open_figure(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """Files of closed figures and other formats are passed over; an open figure's saved PNG counts."""
    charts = (
        Chart(b"closed", "image/png", 1, 1, file_name="a.png"),
        Chart(b"jpeg", "image/jpeg", 1, 1, figure_number=1, file_name="b.jpg"),
        Chart(b"first", "image/png", 1, 1, figure_number=1),
        Chart(b"second", "image/png", 1, 1, figure_number=2),
    )
    daemons.running = answering(charts=charts)
    assert base64.b64encode(b"first").decode() == run(executor)["chart_base64"]
    daemons.running = answering(charts=charts[:2])
    assert run(executor)["chart_base64"] is None


def test_row_20_the_two_font_settings_go_with_each_call(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """Minus signs are ASCII and the Chinese font is the default family."""
    daemons.running = answering()
    run(executor)
    expected = {"axes.unicode_minus": False, "font.family": ["warmfork-cjk", "sans-serif"]}
    assert expected == daemons.requests[0]["rc"]
    assert ("png",) == daemons.requests[0]["formats"]


def test_row_21_environment_info_names_what_code_finds(executor: AsyncCodeExecutor) -> None:
    """The text for a prompt has the working directory, font, libraries and variables."""
    executor.set_variable("sales", (1, 2))
    text = executor.get_environment_info()
    wanted = [executor.working_dir, "Font", "numpy", "pandas", "matplotlib", "seaborn", "sales (list)"]
    assert not [word for word in wanted if word not in text]


def test_row_22_the_working_directory_is_made_and_sessions_are_apart(
    daemons: FakeDaemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing directory is created; without one, it is below the temporary directory and named after the session."""
    AsyncCodeExecutor(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    named = AsyncCodeExecutor(session_id="../my session")
    assert "session-.._my_session" == Path(named.working_dir).name
    assert tmp_path == Path(named.working_dir).parents[1]
    assert 0o700 == Path(named.working_dir).stat().st_mode & 0o777
    others = {AsyncCodeExecutor().session_id for _ in range(3)}
    assert 3 == len(others)


def test_row_22_a_default_directory_that_stayed_empty_is_removed(
    daemons: FakeDaemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left of an executor whose jobs left no file; a file that was left stays."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    empty, used = AsyncCodeExecutor(), AsyncCodeExecutor()
    kept = Path(used.working_dir) / "a.txt"
    kept.write_text("x")
    del empty, used
    assert [kept] == [path for path in tmp_path.rglob("*") if path.is_file() or not any(path.iterdir())]


@pytest.mark.parametrize("verdict", ["rejected", "lost", "crashed", "cancelled"])
def test_row_23_a_job_that_did_not_run_to_its_end_is_a_sandbox_error(
    daemons: FakeDaemons, executor: AsyncCodeExecutor, verdict: Verdict
) -> None:
    """These verdicts become the earlier system's launch failure, stdout as it was."""
    daemons.running = answering(verdict, error=ErrorInfo("Word", "what happened"))
    expected = {"stdout": "", "stderr": "SandboxError: [Word] what happened", "error": True, "chart_base64": None}
    assert expected == run(executor)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (RequestRefused("limit_not_allowed", "too long"), "SandboxError: [RequestRefused] too long"),
        (OSError("password=hunter2"), "SandboxError: [OSError] password=[REDACTED]"),
    ],
)
def test_row_23_an_exception_on_the_way_is_a_result(
    daemons: FakeDaemons, executor: AsyncCodeExecutor, problem: Exception, text: str
) -> None:
    """``execute`` does not raise; the text is redacted like any other."""

    def raising(code: str, **request: Any) -> Result:
        raise problem

    daemons.running = raising
    assert {"stdout": "", "stderr": text, "error": True, "chart_base64": None} == run(executor)


def test_row_23_cancellation_passes_on(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """A cancelled task is cancelled, it does not come back with a result."""

    def cancelled(code: str, **request: Any) -> Result:
        raise asyncio.CancelledError

    daemons.running = cancelled

    async def main() -> None:
        task = asyncio.ensure_future(executor.execute("pass"))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_limits_are_told_where_the_job_could_not(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """A job that was killed for its memory has a reason in stderr, before what it wrote itself."""
    daemons.running = answering("memory_limit", stderr="partial", error=ErrorInfo("MemoryLimit", "over 1 GiB"))
    assert "MemoryLimit: over 1 GiB\npartial" == run(executor)["stderr"]


def test_row_25_files_go_along_and_come_back(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """Regular files are sent; new and changed ones are there afterwards and for the next call."""
    work = Path(executor.working_dir)
    (work / "data").mkdir()
    (work / "data" / "in.csv").write_bytes(b"1,2")
    os.symlink("/etc/hostname", work / "link")
    daemons.running = answering(files={"out/new.txt": b"new", "data/in.csv": b"3,4"})
    assert "" == run(executor)["stderr"]
    assert {"data/in.csv": b"1,2"} == daemons.requests[0]["files"]
    run(executor)
    assert {"data/in.csv": b"3,4", "out/new.txt": b"new"} == daemons.requests[1]["files"]


def test_row_25_what_does_not_fit_is_named(
    daemons: FakeDaemons, executor: AsyncCodeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files over the bounds, refused names and files the daemon dropped are told in stderr, behind any cut."""
    monkeypatch.setattr("warmfork.working_dir.FILES_BYTES_MAX", 10)
    (Path(executor.working_dir) / "big.bin").write_bytes(b"x" * 11)
    (Path(executor.working_dir) / "fits").write_bytes(b"x" * 10)
    daemons.running = answering(stderr="y" * 3_000, files={"../up": b"x"}, dropped=Dropped(files=2))
    answer = run(executor)
    assert {"fits": b"x" * 10} == daemons.requests[0]["files"]
    notes = answer["stderr"].split("\n")[1:]
    assert [
        "Files not sent to the job: 'big.bin' (over 512 files or 0 MiB in all)",
        "Files not written back: '../up' (name not allowed)",
        "Not brought back from the job: 2 files over its limits or not regular files",
    ] == notes
    assert not answer["error"]


def test_two_calls_at_once_do_not_mix(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """Each call carries the variables it was started with and gets its own answer."""
    daemons.running = lambda code, **request: Result(JOB, "ok", f"{code} {request['variables']['n']}")

    async def main() -> list[dict[str, Any]]:
        tasks = []
        for n in range(8):
            executor.set_variable("n", n)
            tasks.append(asyncio.ensure_future(executor.execute(f"code-{n}")))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)

    expected = [f"code-{n} {n}" for n in range(8)]
    assert expected == [answer["stdout"] for answer in asyncio.run(main())]


def test_a_private_daemon_steps_in_once_and_is_shared(daemons: FakeDaemons, tmp_path: Path) -> None:
    """Without a running daemon all executors of the process share one private daemon, however many calls start it."""
    daemons.private = answering(stdout="private")
    first, second = AsyncCodeExecutor(str(tmp_path / "1")), AsyncCodeExecutor(str(tmp_path / "2"))

    async def main() -> list[dict[str, Any]]:
        return await asyncio.gather(*(executor.execute("pass") for executor in (first, second, first, second)))

    assert ["private"] * 4 == [answer["stdout"] for answer in asyncio.run(main())]
    assert 1 == len(daemons.started)
    compat._shared_daemon.stop()
    assert daemons.started == daemons.stopped


def test_a_private_daemon_that_died_is_replaced(daemons: FakeDaemons, executor: AsyncCodeExecutor) -> None:
    """A call that finds the private daemon gone starts another, and runs there."""
    daemons.private = answering(stdout="private")
    run(executor)
    compat._shared_daemon.get().address = "private-gone"
    assert "private" == run(executor)["stdout"]
    assert 2 == len(daemons.started)
    assert daemons.started[:1] == daemons.stopped


def test_a_named_address_is_not_replaced_by_a_private_daemon(daemons: FakeDaemons, tmp_path: Path) -> None:
    """Who names a daemon gets that one or an error."""
    daemons.private = answering()
    answer = run(AsyncCodeExecutor(str(tmp_path), address="ipc:///nobody"))
    assert "SandboxError: [DaemonUnreachable] no daemon answered" == answer["stderr"]
    assert not daemons.started

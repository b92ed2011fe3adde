"""CONTRACT rows 10, 13, 17 to 23 and 25 through ``AsyncCodeExecutor``, daemon and worker, for real."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warmfork.compat import AsyncCodeExecutor
from warmfork.embedding import EmbeddedDaemon

CHART = "plt.plot([-1, 2])\nplt.title('中文标题')\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    daemon = EmbeddedDaemon(workers=3)
    daemon.start()
    key_file = tmp_path_factory.mktemp("key") / "key"
    key_file.write_bytes(daemon.key)
    yield daemon.address, key_file
    daemon.stop()


@pytest.fixture
def executor(daemon: tuple[str, Path], tmp_path: Path) -> AsyncCodeExecutor:
    return AsyncCodeExecutor(str(tmp_path), address=daemon[0], key_file=daemon[1])


def run(executor: AsyncCodeExecutor, code: str, timeout: float | None = None) -> dict[str, Any]:
    return asyncio.run(executor.execute(code, timeout))


def test_row_10_timeout_keeps_output(executor: AsyncCodeExecutor) -> None:
    """A loop is killed at its limit; what it printed before is there."""
    answer = run(executor, "print('before', flush=True)\nwhile True: pass", timeout=1)
    expected = {
        "stdout": "before\n",
        "stderr": "ExecutionTimeout: code execution exceeded 1s limit",
        "error": True,
        "chart_base64": None,
    }
    assert expected == answer


def test_row_13_output_is_redacted_and_cut(executor: AsyncCodeExecutor) -> None:
    """Secrets, environment dumps and length, in what really came over the pipes."""
    answer = run(executor, "print('password=hunter2\\n')\nfor i in range(20): print(f'NAME_{i}=value')")
    dump = [f"NAME_{i}=[REDACTED]" for i in range(10)]
    expected = ["password=[REDACTED]", "", *dump, "[ENVIRONMENT DUMP CUT: 10 more lines]"]
    assert expected == answer["stdout"].splitlines()
    answer = run(executor, "print('x' * 1_000_000)")
    assert "x" * 2_000 + "... [OUTPUT TRUNCATED FOR SECURITY]" == answer["stdout"]


def test_row_17_variables_are_there(executor: AsyncCodeExecutor) -> None:
    """JSON values arrive after their round trip, other values as text."""
    executor.set_variable("table", {1: (2, 3)})
    executor.set_variable("path", Path("a"))
    assert "{'1': [2, 3]} 'a'\n" == run(executor, "print(table, repr(path))")["stdout"]


def test_row_18_an_error_has_a_traceback_of_the_code_alone(executor: AsyncCodeExecutor) -> None:
    """No output reads as the earlier system's sentence; stderr ends in the exception and shows its line once."""
    answer = run(executor, "def f():\n    return 1 / 0\nf()")
    assert ("Run completed with no output.", True) == (answer["stdout"], answer["error"])
    assert answer["stderr"].endswith("ZeroDivisionError: division by zero\n")
    assert 1 == answer["stderr"].count("return 1 / 0")


def test_rows_19_and_20_the_first_open_figure_in_the_chinese_font(executor: AsyncCodeExecutor) -> None:
    """Of two open figures the first comes back as PNG; font family and minus sign are set as in the earlier system."""
    code = "fig = plt.figure(figsize=(3, 2))\n" + CHART + "plt.figure(figsize=(9, 2))\n" + CHART
    answer = run(
        executor, code + "print(plt.rcParams['axes.unicode_minus'], plt.rcParams['font.family'][0] != 'sans-serif')"
    )
    assert ("False True\n", "") == (answer["stdout"], answer["stderr"])
    png = base64.b64decode(answer["chart_base64"])
    width_px, height_px = struct.unpack(">II", png[16:24])
    assert width_px < 2 * height_px


def test_row_19_a_figure_that_was_saved_and_closed_is_no_chart(executor: AsyncCodeExecutor) -> None:
    """Its file is in the working directory all the same."""
    answer = run(executor, CHART + "plt.savefig('a.png')\nplt.close()")
    assert answer["chart_base64"] is None
    assert b"\x89PNG" == (Path(executor.working_dir) / "a.png").read_bytes()[:4]


def test_row_19_a_figure_that_was_saved_and_is_open_is_the_chart(executor: AsyncCodeExecutor) -> None:
    """In whatever format the code saved it, the chart is a PNG."""
    for name in ("a.png", "a.svg"):
        answer = run(executor, CHART + f"plt.savefig('{name}')")
        assert b"\x89PNG" == base64.b64decode(answer["chart_base64"] or "")[:4]


def test_row_23_a_process_that_leaves_is_a_sandbox_error(executor: AsyncCodeExecutor) -> None:
    """The output so far is kept."""
    answer = run(executor, "print('before', flush=True)\nimport os\nos._exit(0)")
    assert ("before\n", True) == (answer["stdout"], answer["error"])
    assert answer["stderr"].startswith("SandboxError: [")


def test_row_25_files_are_there_before_and_after(executor: AsyncCodeExecutor) -> None:
    """The code reads what is in the working directory; what it writes is there for the caller and the next call."""
    work = Path(executor.working_dir)
    (work / "data").mkdir()
    (work / "data" / "in.txt").write_text("1")
    code = "import os\nn = int(open('data/in.txt').read()) + 1\nopen('data/in.txt', 'w').write(str(n))\n"
    for expected in ("2", "3"):
        assert not run(executor, code)["error"]
        assert expected == (work / "data" / "in.txt").read_text()
    assert ["data", "data/in.txt"] == sorted(str(path.relative_to(work)) for path in work.rglob("*"))


def test_two_calls_at_once_do_not_mix(executor: AsyncCodeExecutor) -> None:
    """Ten calls in flight on one executor: each gets its own output, chart and file."""

    async def main() -> list[dict[str, Any]]:
        codes = [f"print({n})\nopen('f{n}', 'w').write('{n}')" for n in range(10)]
        return await asyncio.gather(*(executor.execute(code) for code in codes))

    assert [f"{n}\n" for n in range(10)] == [answer["stdout"] for answer in asyncio.run(main())]
    assert [str(n) for n in range(10)] == [(Path(executor.working_dir) / f"f{n}").read_text() for n in range(10)]


def test_a_private_daemon_steps_in_and_ends_with_the_process(tmp_path: Path) -> None:
    """Where no daemon runs the shim works all the same, and leaves no process and no file behind."""
    script = """if True:
        import asyncio
        from warmfork import compat
        answer = asyncio.run(compat.AsyncCodeExecutor().execute("print(1 + 1)"))
        print(answer["stdout"].strip(), answer["stderr"], compat._shared_daemon.get().pid)
    """
    places = {name: str(tmp_path) for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WARMFORK_")}
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, **places, "PYTHONPATH": paths, "WARMFORK_ADDRESS": f"ipc://{tmp_path}/none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer, pid = done.stdout.split()
    assert ("2", "") == (answer, done.stderr)
    assert not Path(f"/proc/{pid}").exists()
    assert [] == list(tmp_path.rglob("warmfork*"))

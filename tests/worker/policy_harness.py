"""Runs snippets under the policy guard, in a process of their own each.

One server imports the libraries and builds the guard, as the template does, and forks a child for each snippet, as the
template does for each worker. The audit hook cannot be taken off, so no test enters the guard in its own process.

Run as a program it is the server: JSON lines in, JSON lines out.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_LIBRARIES: Final = (
    "numpy",
    "pandas",
    "matplotlib",
    "matplotlib.pyplot",
    "seaborn",
    "asyncio",
    "sqlite3",
    "http.server",
)
_MORE: Final = (
    "urllib.request",
    "importlib.util",
    "subprocess",
    "logging",
    "unittest",
    "zoneinfo",
    "json",
    "re",
    "math",
)
_DOORS: Final = ("pty", "webbrowser", "socket", "ctypes")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a snippet did: its output, and type and message of the exception that ended it (empty where none did)."""

    stdout: str
    error: str
    message: str


class Server:
    """The client's end of the server process."""

    def __init__(self, base: Path, libraries: tuple[str, ...] = _LIBRARIES + _MORE + _DOORS) -> None:
        self._base, self._count = base, 0
        home = base / "home"
        home.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "MPLCONFIGDIR": str(home),
            "MPLBACKEND": "agg",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(str(_ROOT / name) for name in ("client", "worker")),
        }
        command = [sys.executable, __file__, str(home), *libraries]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=base, text=True
        )

    def run(
        self, code: str, policy: str = "strict", *, files: dict[str, str] | None = None, stdin: str | None = None
    ) -> Outcome:
        """Run ``code`` in a fresh child with its own working directory ``jobN``.

        Beside it, out of bounds, lies ``jobN-out`` with a file ``f`` and a directory ``d``.
        """
        self._count += 1
        work_dir = self._base / f"job{self._count}"
        (work_dir / "tmp").mkdir(parents=True)
        outside = self._base / f"job{self._count}-out"
        (outside / "d").mkdir(parents=True)
        (outside / "f").write_text("outside")
        for name, text in (files or {}).items():
            (work_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (work_dir / name).write_text(text, encoding="utf-8")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"code": code, "policy": policy, "work_dir": str(work_dir), "stdin": stdin}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the server and wait for it."""
        self._process.communicate()


@contextlib.contextmanager
def serving(base: Path, libraries: tuple[str, ...] = _LIBRARIES + _MORE + _DOORS) -> Iterator[Server]:
    """A server for the time of a block."""
    server = Server(base, libraries)
    try:
        yield server
    finally:
        server.close()


def _serve(home: str, libraries: list[str]) -> None:
    import importlib

    from warmfork_worker.policy import Guard, default_readable_roots

    for name in libraries:
        importlib.import_module(name)
    guard = Guard([*default_readable_roots(), home])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _run_child(guard, json.loads(line), writer)
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        died = json.dumps({"stdout": "", "error": "died", "message": str(status)})
        answers.write((text or died) + "\n")
        answers.flush()


def _run_child(guard: Any, job: dict[str, Any], writer: int) -> None:
    try:
        outcome = _outcome(guard, job)
    except BaseException:
        outcome = {"stdout": "", "error": "harness", "message": traceback.format_exc()}
    os.write(writer, json.dumps(outcome).encode())
    os._exit(0)


def _outcome(guard: Any, job: dict[str, Any]) -> dict[str, Any]:
    work_dir = job["work_dir"]
    os.chdir(work_dir)
    os.environ.update(HOME=work_dir, TMPDIR=work_dir + "/tmp")
    sys.path.insert(0, work_dir)
    sys.stdin = io.StringIO(job["stdin"] or "")
    sys.stdout = output = io.StringIO()
    plt, np = sys.modules.get("matplotlib.pyplot"), sys.modules.get("numpy")
    presets = {"os": os, "json": json, "math": sys.modules.get("math"), "plt": plt, "np": np}
    presets["pd"] = sys.modules.get("pandas")
    stdin_given = job["stdin"] is not None
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    code = compile(job["code"], "<sandbox>", "exec", dont_inherit=True)
    user_builtins = guard.enter(
        job["policy"], work_dir=work_dir, temp_dir=work_dir + "/tmp", stdin_given=stdin_given, presets=lambda: presets
    )
    main.__dict__["__builtins__"] = user_builtins
    error, message = "", ""
    try:
        exec(code, main.__dict__)
    except BaseException as exc:
        error, message = type(exc).__name__, str(exc)
    return {"stdout": output.getvalue(), "error": error, "message": message}


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])

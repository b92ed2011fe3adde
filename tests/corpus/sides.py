"""The two sides of the comparison: a script in plain Python, and the same script through ``warmfork run``."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.corpus.records import CORPUS, Image, Outcome, Script

ROOT: Final = CORPUS.parents[1]
RUN_S_MAX: Final = 90.0
START_S_MAX: Final = 300.0
_IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".svg", ".pdf")
_CLI: Final = "import sys; from warmfork.cli import main; sys.exit(main())"


def base_environment(home: Path) -> dict[str, str]:
    """What both sides run in: a private home, UTF-8, and one BLAS thread, as the workers have.

    The number of BLAS threads changes the order of sums, and so the last bit of numbers.
    """
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def run_plain(script: Script, scratch: Path, home: Path) -> Outcome:
    """Run it in plain Python in a fresh directory below ``scratch``, with matplotlib's Agg backend."""
    work, out = scratch / "plain_work", scratch / "plain_out"
    work.mkdir(parents=True)
    out.mkdir()
    # A font list per home, made by the first run, so that no later run pays for it.
    environment = {**base_environment(home), "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(home / "matplotlib")}
    command = [sys.executable, str(CORPUS / "plain_runner.py"), str(script.path), str(out)]
    command += ["--cjk"] if script.cjk else []
    ran = _run(command, work, environment)
    report = out / "outcome.json"
    if not report.exists():
        return replace(ran, verdict="broken")
    ended = json.loads(report.read_text(encoding="utf-8"))
    figures = [
        Image(out / f"figure_{number}.png", figure_number=number, saved_too=number in ended["saved_figures"])
        for number in ended["figures"]
    ]
    saved = [
        Image(path, file_name=path.relative_to(work).as_posix())
        for path in sorted(work.rglob("*"))
        if path.suffix.lower() in _IMAGE_SUFFIXES
    ]
    return _with_end(ran, ended, (*figures, *saved))


@dataclass(frozen=True, slots=True)
class Service:
    """A daemon that answers.

    Attributes:
        environment: in which ``warmfork run`` finds it.
        address: to pass on with ``--address``; None where the environment is enough.
    """

    environment: Mapping[str, str]
    address: str | None = None


@contextlib.contextmanager
def service(home: Path, address: str | None) -> Iterator[Service]:
    """A daemon of our own in a private runtime directory, or the one at ``address``.

    Raises RuntimeError where it does not answer within ``START_S_MAX`` seconds.
    """
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("client", "daemon", "worker"))
    environment = {**base_environment(home), "PYTHONPATH": paths}
    if address is not None:
        yield Service({**environment, **_own_runtime_directory()}, address)
        return
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    environment["XDG_RUNTIME_DIR"] = str(runtime)
    # The template starts at a low priority; on a busy machine that takes longer than the default allows.
    environment["WARMFORK_TEMPLATE_START_TIMEOUT_S"] = str(START_S_MAX)
    log = home / "daemon.log"
    with log.open("wb") as stream:
        command = [sys.executable, "-c", _CLI, "serve"]
        daemon = subprocess.Popen(command, env=environment, cwd=home, stdout=stream, stderr=stream)
    try:
        _wait_until_it_answers(daemon, environment, home, log)
        yield Service(environment)
    finally:
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def run_warmfork(script: Script, scratch: Path, served: Service, policy: str) -> Outcome:
    """Run it by ``warmfork run --json`` and read what that prints."""
    work, out = scratch / "cli_work", scratch / "cli_out"
    work.mkdir(parents=True)
    command = [sys.executable, "-c", _CLI, "run", str(script.path), "--json", "--out", str(out), "--policy", policy]
    command += ["--address", served.address] if served.address else []
    ran = _run(command, work, served.environment)
    try:
        ended = json.loads(ran.stdout)
    except ValueError:
        return replace(ran, verdict="broken", error_message=(ran.stderr or ran.stdout)[-300:])
    images = [
        Image(work / chart["path"], figure_number=chart["figure_number"], file_name=chart["file_name"])
        for chart in ended["charts"]
    ]
    texts = replace(ran, stdout=ended["stdout"], stderr=ended["stderr"])
    return _with_end(texts, ended, tuple(images))


def _own_runtime_directory() -> dict[str, str]:
    return {name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "WARMFORK_KEY_FILE") if name in os.environ}


def _run(command: list[str], directory: Path, environment: Mapping[str, str]) -> Outcome:
    began_s = time.monotonic()
    try:
        ran = subprocess.run(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RUN_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(verdict="broken", error_message=f"did not end within {RUN_S_MAX:.0f} s", wall_s=RUN_S_MAX)
    wall_s = time.monotonic() - began_s
    return Outcome("broken", ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"), wall_s=wall_s)


def _with_end(ran: Outcome, ended: Mapping[str, Any], images: tuple[Image, ...]) -> Outcome:
    error = ended.get("error") or {}
    return replace(
        ran,
        verdict=ended["verdict"],
        error_type=error.get("type", ""),
        error_message=error.get("message", ""),
        error_line=error.get("line"),
        exit_code=ended.get("exit_code"),
        images=images,
        cpu_s=ended.get("cpu_s", 0.0),
    )


def _wait_until_it_answers(
    daemon: subprocess.Popen[bytes], environment: Mapping[str, str], home: Path, log: Path
) -> None:
    until_s = time.monotonic() + START_S_MAX
    while time.monotonic() < until_s:
        if daemon.poll() is not None:
            break
        asked = subprocess.run(
            [sys.executable, "-c", _CLI, "status"], cwd=home, env=dict(environment), capture_output=True, check=False
        )
        if asked.returncode == 0:
            return
    raise RuntimeError(f"the daemon did not answer; its log ends: {log.read_text(errors='replace')[-600:]}")

"""``AsyncCodeExecutor`` with the interface and the texts of the class it replaces, over a warmfork daemon.

Nothing of the old mechanism is left: a job runs in a warm forked worker of the daemon that runs on this machine, or,
where none runs, of a private daemon that all executors of this process share and that ends with the process.
``docs/contract.md`` lists the behaviour row by row.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import json
import os
import re
import secrets
import stat
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from warmfork import working_dir as directory
from warmfork.aio import AsyncClient
from warmfork.embedding import EmbeddedDaemon
from warmfork.errors import DaemonUnreachable
from warmfork.redaction import redact, redact_cut, shorten
from warmfork.results import Result

__all__ = ["AsyncCodeExecutor"]

TIMEOUT_S_DEFAULT: Final = 120
NO_OUTPUT: Final = "Run completed with no output."
NAMES_SHOWN_MAX: Final = 10

_FONT_SETTINGS: Final = {"axes.unicode_minus": False, "font.family": ["warmfork-cjk", "sans-serif"]}
_NOT_RUN_TO_AN_END: Final = frozenset({"rejected", "lost", "crashed", "cancelled"})
_PRESENT_NAMES: Final = "os, json, math, re, matplotlib, plt, fm, font_manager, np, numpy, pd, pandas, sns, seaborn"


class AsyncCodeExecutor:
    """Runs Python code and answers with a plain dict.

    Args:
        working_dir: the directory the code finds itself in; created if missing. Its regular files (at most 512, 48 MiB)
            go along with each call, new and changed ones come back into it. Default: a directory of this user below the
            system's temporary directory, named after the session.
        session_id: any text that names this executor; random if not given.
        timeout: seconds a call may take, where ``execute`` is given none.
        address: of the daemon. Calls fail if nobody answers there; without an address a private daemon steps in.
        key_file: that verifies the daemon's charts; found beside the daemon's socket if not given.
        template: name of the daemon's template to run in, one that has matplotlib; its default if not given. A private
            daemon has the default one alone.

    Raises:
        OSError: ``working_dir`` cannot be created.
    """

    def __init__(
        self,
        working_dir: str | None = None,
        session_id: str | None = None,
        timeout: int | float = TIMEOUT_S_DEFAULT,
        *,
        address: str | None = None,
        key_file: str | Path | None = None,
        template: str | None = None,
    ) -> None:
        self.session_id = secrets.token_hex(8) if session_id is None else session_id
        self.timeout = timeout
        if working_dir is None:
            self.working_dir = _make_default_directory(self.session_id)
            # Nobody chose this directory, so nobody misses it while it is empty.
            weakref.finalize(self, _remove_if_empty, self.working_dir)
        else:
            self.working_dir = os.path.abspath(working_dir)
            os.makedirs(self.working_dir, exist_ok=True)
        self._address = address
        self._key_file = key_file
        self._template = template
        self._variables: dict[str, Any] = {}

    def set_variable(self, name: str, value: Any) -> None:
        """Let later calls find ``value`` under ``name``.

        It travels as JSON: keys become strings, tuples become lists; what JSON cannot hold becomes ``str(value)``.
        """
        self._variables[name] = value

    def get_variable(self, name: str) -> Any:
        """What ``set_variable`` was given under ``name``; None if nothing was."""
        return self._variables.get(name)

    def get_environment_info(self) -> str:
        """Text for a prompt: where the code runs, and what it finds there."""
        variables = ", ".join(f"{name} ({type(_as_json(value)).__name__})" for name, value in self._variables.items())
        return "\n".join(
            (
                f"Working directory: {self.working_dir} (it is the current directory; use relative file names)",
                "Font: a Chinese font is the default family; Chinese text and minus signs are drawn correctly",
                "Libraries: numpy, pandas, matplotlib (backend Agg), seaborn, and the standard library",
                f"Names present without import: {_PRESENT_NAMES}",
                f"Injected variables: {variables or 'none'}",
                "Charts: leave the figure open; the first open figure is returned as PNG",
            )
        )

    async def execute(self, code: str, timeout: int | float | None = None) -> dict[str, Any]:
        """Run ``code`` once, in a fresh process.

        Args:
            code: Python source.
            timeout: seconds it may take, rendering included; the executor's own if None.

        Returns:
            ``stdout``, ``stderr`` (redacted, cut at 2,000 characters each with a notice), ``error`` (True unless the
            code ran to its end) and ``chart_base64`` (the first open figure as PNG, else None). Whatever goes wrong on
            the way to the code is a result too: ``SandboxError: [Type] message`` in ``stderr``. Cancelling the awaiting
            task ends the job.
        """
        limit_s = self.timeout if timeout is None else timeout
        try:
            return await self._execute(code, limit_s)
        except Exception as problem:
            return _answer("", shorten(redact(f"SandboxError: [{type(problem).__name__}] {problem}")), error=True)

    async def _execute(self, code: str, limit_s: int | float) -> dict[str, Any]:
        request = {
            # A name that is no identifier cannot be used by code, so leaving it out changes nothing.
            "variables": {name: _as_json(value) for name, value in self._variables.items() if name.isidentifier()},
            "timeout_s": limit_s,
            "formats": ("png",),
            "template": self._template,
            "rc": _FONT_SETTINGS,
        }
        collected = await asyncio.to_thread(directory.collect, self.working_dir)
        result = await self._submit(code, {**request, "files": collected.files})
        return await asyncio.to_thread(_finish, result, limit_s, self.working_dir, collected)

    async def _submit(self, code: str, request: Mapping[str, Any]) -> Result:
        if self._address is not None or not _shared_daemon.running:
            try:
                async with AsyncClient(self._address, key_file=self._key_file) as client:
                    return await client.execute(code, **request)
            except DaemonUnreachable:
                if self._address is not None:
                    raise
        daemon = await asyncio.to_thread(_shared_daemon.get)
        try:
            return await _execute_on(daemon, code, request)
        except DaemonUnreachable:  # it was killed since the last call; nothing was submitted
            await asyncio.to_thread(_shared_daemon.discard, daemon)
        return await _execute_on(await asyncio.to_thread(_shared_daemon.get), code, request)


async def _execute_on(daemon: EmbeddedDaemon, code: str, request: Mapping[str, Any]) -> Result:
    async with AsyncClient(daemon.address, key=daemon.key) as client:
        return await client.execute(code, **request)


class _SharedDaemon:
    """The one private daemon of this process, started when it is first needed. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._daemon: EmbeddedDaemon | None = None
        self._pid = 0

    @property
    def running(self) -> bool:
        # A forked child inherits the object but not the daemon: that one answers to its parent.
        return self._daemon is not None and self._pid == os.getpid()

    def get(self) -> EmbeddedDaemon:
        """The running daemon. Blocks while it starts. Raises EmbeddedStartFailed or ExtraMissing."""
        with self._lock:
            if self._daemon is None or self._pid != os.getpid():
                daemon = EmbeddedDaemon(policy="strict")
                daemon.start()
                self._daemon, self._pid = daemon, os.getpid()
            return self._daemon

    def discard(self, daemon: EmbeddedDaemon) -> None:
        """Stop ``daemon`` if it is still the one in use."""
        with self._lock:
            if self._daemon is daemon:
                self._daemon = None
                daemon.stop()

    def stop(self) -> None:
        """Stop the daemon, if this process started one."""
        if self.running and self._daemon is not None:
            self.discard(self._daemon)


_shared_daemon: Final = _SharedDaemon()
atexit.register(_shared_daemon.stop)


def _finish(result: Result, limit_s: int | float, working_dir: str, collected: directory.Collected) -> dict[str, Any]:
    """Write the job's files back and put the answer together. Runs in a thread: disk, and patterns over long text."""
    failed = directory.write_back(working_dir, result.files, collected.files)
    notes = [*_note("not sent to the job", collected.left_out), *_note("not written back", failed)]
    if result.dropped.files:
        notes.append(
            f"Not brought back from the job: {result.dropped.files} files over its limits or not regular files"
        )
    stdout = shorten(_redact_stream(result.stdout, result.dropped.stdout_bytes))
    if not stdout and result.verdict != "timeout" and result.verdict not in _NOT_RUN_TO_AN_END:
        stdout = NO_OUTPUT
    # The notes come after the cut, or long output would hide them.
    stderr = _join_lines(shorten(_stderr(result, limit_s)), *notes)
    return _answer(stdout, stderr, error=not result.ok, chart=_first_open_figure(result))


def _answer(stdout: str, stderr: str, *, error: bool, chart: bytes | None = None) -> dict[str, Any]:
    encoded = None if chart is None else base64.b64encode(chart).decode("ascii")
    return {"stdout": stdout, "stderr": stderr, "error": error, "chart_base64": encoded}


def _stderr(result: Result, limit_s: int | float) -> str:
    """What the job wrote, redacted, after a line that says why it ended where the job cannot have said so itself."""
    reason = ""
    if result.verdict == "timeout":
        reason = f"ExecutionTimeout: code execution exceeded {limit_s}s limit"
    elif result.error is not None:
        reason = f"{result.error.type}: {result.error.message}"
        if result.verdict in _NOT_RUN_TO_AN_END:
            reason = f"SandboxError: [{result.error.type}] {result.error.message}"
        elif result.error.traceback or result.error.message in result.stderr:
            reason = ""
    return _join_lines(redact(reason), _redact_stream(result.stderr, result.dropped.stderr_bytes))


def _redact_stream(text: str, dropped_bytes: int) -> str:
    if not dropped_bytes:
        return redact(text)
    head, note, tail = text.partition(f"\n... [{dropped_bytes} bytes dropped] ...\n")
    head, tail = redact_cut(head, tail, dropped_bytes)
    return head + note + tail


def _first_open_figure(result: Result) -> bytes | None:
    for chart in result.charts:
        if chart.figure_number is not None and chart.media_type == "image/png":
            return chart.data
    return None


def _join_lines(*parts: str) -> str:
    """The parts that are not empty, each begun on a line of its own."""
    joined = ""
    for part in filter(None, parts):
        joined += ("" if not joined or joined.endswith("\n") else "\n") + part
    return joined


def _note(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f", and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return [f"Files {what}: {', '.join(names[:NAMES_SHOWN_MAX])}{more}"]


def _as_json(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError):  # no JSON type, a circle, nested too deep
        return str(value)


def _make_default_directory(session_id: str) -> str:
    # One parent for each user, closed to others: in a shared temporary directory anybody could have taken the name.
    parent = os.path.join(tempfile.gettempdir(), f"warmfork-sessions-{os.getuid()}")
    os.makedirs(parent, mode=0o700, exist_ok=True)
    status = os.lstat(parent)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{parent} is not a directory of this user alone; remove it or name a working_dir")
    path = os.path.join(parent, "session-" + re.sub(r"[^\w.-]", "_", session_id, flags=re.ASCII)[:100])
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def _remove_if_empty(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)
        os.rmdir(os.path.dirname(path))

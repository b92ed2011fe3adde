"""A private daemon for as long as a ``with`` block, or a program, lasts."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from warmfork.client import Client
from warmfork.errors import EmbeddedStartFailed, ExtraMissing, GuardRefused
from warmfork.trees import wipe_tree
from warmfork.wire.records import POLICIES
from warmfork.wire.signature import KEY_BYTES

_START_S: Final = 90.0
_STOP_S: Final = 5.0
_PACKAGES: Final = ("warmfork", "warmfork_daemon", "warmfork_worker")
_NEEDED: Final = (*_PACKAGES, "psutil")


def require_daemon_extra() -> None:
    """Raise ExtraMissing, with what to type, when the daemon's libraries are not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"running code here needs the daemon's libraries ({', '.join(missing)} not found); "
            "type: pip install 'warmfork[daemon]'"
        )


class EmbeddedDaemon:
    """A private daemon, ended with ``stop``, with the process that started it, or with the object's last use.

    It has a key of its own that exists in the two processes only, a directory of its own, and it ends when this process
    does, however that ends: the kernel closes its lifeline. (Children made by a bare ``os.fork`` hold the lifeline too.)

    Args:
        policy: default policy of its jobs; all policies are allowed.
        workers: jobs that run at the same time; the daemon's default without it.
        settings: further settings by dotted key, as in ``docs/configuration.md``; ``templates.NAME.…`` makes another template.

    Attributes:
        address: of the daemon once it is started.
        key: its key.
    """

    def __init__(
        self, *, policy: str = "strict", workers: int | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        require_daemon_extra()
        self._settings: dict[str, Any] = {"policy.default": policy, "policy.allowed": list(POLICIES)}
        if workers is not None:
            self._settings.update({"pool.running_max": workers, "pool.idle_workers": workers})
        self._settings.update(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: socket.socket | None = None
        self.address = ""
        self.key = secrets.token_bytes(KEY_BYTES)

    def start(self) -> None:
        """Start it and wait until it serves. Raises EmbeddedStartFailed."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "warmfork_daemon", str(theirs.fileno())],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self._lifeline = ours
        ours.settimeout(_START_S)
        try:
            ours.sendall(json.dumps({"key": self.key.hex(), "settings": self._settings}).encode() + b"\n")
            line = ours.makefile("rb").readline()
        except OSError as problem:
            self.stop()
            raise EmbeddedStartFailed(f"the private daemon did not come up within {_START_S:g} s: {problem}") from None
        except BaseException:
            self.stop()
            raise
        answer: dict[str, Any] = (
            json.loads(line) if line else {"error": "it ended before it was ready; what it printed says why"}
        )
        if "address" not in answer:
            self.stop()
            reason = f"the private daemon did not come up: {answer['error']}"
            raise GuardRefused(reason, answer["guard"]) if "guard" in answer else EmbeddedStartFailed(reason)
        self.address = answer["address"]

    @property
    def pid(self) -> int | None:
        """Of the daemon while it runs."""
        return None if self._process is None else self._process.pid

    def stop(self) -> None:
        """End it and wait until its processes and its directory are gone. May be called any number of times."""
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self.address:
            # Only a daemon that was killed leaves its directory to us.
            wipe_tree(str(Path(self.address.removeprefix("ipc://")).parent))

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.stop()


def _environment() -> dict[str, str]:
    """This process's environment, with the packages findable as they are here (a checkout is not installed)."""
    specs = map(importlib.util.find_spec, _PACKAGES)
    own = [str(Path(spec.origin).parents[1]) for spec in specs if spec is not None and spec.origin is not None]
    paths = [*own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


@contextlib.contextmanager
def embedded(
    *, policy: str = "strict", workers: int | None = None, settings: Mapping[str, Any] | None = None
) -> Iterator[Client]:
    """A client of a private daemon that lives as long as the ``with`` block.

        with embedded(policy="standard", workers=4) as client:
            result = client.execute("print(1 + 1)")

    Args:
        policy, workers, settings: as for ``EmbeddedDaemon``.

    Raises:
        ExtraMissing: the daemon's libraries are not installed; the message says what to type.
        EmbeddedStartFailed: the daemon did not come up; GuardRefused where the machine cannot guard its jobs.
    """
    daemon = EmbeddedDaemon(policy=policy, workers=workers, settings=settings)
    daemon.start()
    try:
        with Client(daemon.address, key=daemon.key) as client:
            yield client
    finally:
        daemon.stop()

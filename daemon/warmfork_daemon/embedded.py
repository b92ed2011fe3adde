"""A private daemon: ephemeral key and settings come down the lifeline, and its end is the daemon's.

The lifeline is a socket pair whose other end only the caller holds. When the caller ends, however it ends, the kernel
closes it, and the daemon takes its processes and its directory with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import tempfile
from typing import Any

from warmfork.errors import GuardRefused, WarmforkError
from warmfork.trees import wipe_tree
from warmfork_daemon import descriptors, hardening, logs
from warmfork_daemon.config import load
from warmfork_daemon.main import with_signals
from warmfork_daemon.resolve import new_instance, resolved
from warmfork_daemon.runtime_dir import RuntimeDirectory
from warmfork_daemon.supervisor import Supervisor


def run_embedded(lifeline_fd: int) -> int:
    """Serve whoever holds the other end of the lifeline.

    One line of JSON comes in: ``key`` (hexadecimal) and ``settings`` (dotted keys). One goes out: ``address``, or ``error``.
    """
    lifeline = socket.socket(fileno=lifeline_fd)
    line = lifeline.makefile("rb").readline()
    if not line:
        return 0
    order = json.loads(line)
    key = bytes.fromhex(order["key"])
    logs.leave_out_what_no_line_has()
    logs.configure_embedded()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # until there is a supervisor to stop; the lifeline ends a start as well
    base = os.environ.get("XDG_RUNTIME_DIR") or None
    path = tempfile.mkdtemp(prefix="warmfork-", dir=base if base and os.access(base, os.W_OK) else None)
    try:
        hardening.refuse_dumps()
        descriptors.raise_limit()
        config = resolved(
            load(environ={}, overrides={"runtime_dir": path, "lifecycle.drain_s": 0.0, **order["settings"]})
        )
        directory = RuntimeDirectory(path)
        try:
            _serve(
                Supervisor(
                    config, directory, key, environ=os.environ, group_id=None, instance=new_instance(os.environ)
                ),
                lifeline,
            )
        finally:
            directory.close()
    except GuardRefused as problem:
        _tell(lifeline, {"error": str(problem), "guard": problem.guard})
        return 1
    except WarmforkError as problem:
        _tell(lifeline, {"error": str(problem)})
        return 1
    finally:
        wipe_tree(path)
    return 0


def _serve(supervisor: Supervisor, lifeline: socket.socket) -> None:
    supervisor.on_serving = lambda: _tell(lifeline, {"address": supervisor.addresses[0]})
    lifeline.setblocking(False)

    def on_lifeline() -> None:
        if not lifeline.recv(64):
            supervisor.stop()

    supervisor.reactor.watch(lifeline.fileno(), on_lifeline)
    signal_ends = with_signals(supervisor)
    # A terminal's Ctrl-C is the caller's business: it may well go on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor.run()
    del signal_ends


def _tell(lifeline: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a caller that is gone is told by the end of the lifeline in a moment
        lifeline.send(json.dumps(message).encode() + b"\n")

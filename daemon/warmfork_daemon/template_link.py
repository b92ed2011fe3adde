"""The template's process and the control socket to it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from warmfork.errors import ExtraMissing, ProtocolError
from warmfork.wire import control
from warmfork_daemon.reactor import Reactor

INSTANCE_VARIABLE: Final = "WARMFORK_INSTANCE"
_KEPT_VARIABLES: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "LC_CTYPE")
_PACKETS_A_TURN: Final = 64


# What a template imports before it can say what it misses; msgpack's own fallback serves where its build does not fit.
_COPIED_PACKAGES: Final = ("warmfork", "warmfork_worker", "msgpack")


def template_environment(
    environ: Mapping[str, str], *, scratch_dir: str, instance: str, packages_dir: str = ""
) -> dict[str, str]:
    """The environment of template and workers: CONTRACT list B and a mark to find our processes by; nothing else.

    Args:
        environ: the daemon's own.
        scratch_dir: HOME, TMPDIR and MPLCONFIGDIR of the template; each worker gets directories of its own.
        instance: value of ``$WARMFORK_INSTANCE``.
        packages_dir: of ``copy_packages``, for another interpreter than the daemon's; empty for the daemon's own. It
            is all of the other's PYTHONPATH, because the daemon's leads to libraries built for the daemon's Python.
    """
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    if packages_dir:
        kept.pop("PYTHONHOME", None)
        paths = [packages_dir]
    else:
        own = [_package_dir(name) for name in ("warmfork_worker", "warmfork")]
        paths = [*dict.fromkeys(own), *filter(None, kept.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **kept,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONSAFEPATH": "1",
        "HOME": scratch_dir,
        **dict.fromkeys(("TMP", "TMPDIR", "TEMP"), scratch_dir),
        "MPLCONFIGDIR": os.path.join(scratch_dir, "matplotlib"),
        "MPLBACKEND": "agg",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        # pyarrow's allocator starts a thread when it is loaded, and pandas loads pyarrow where it is installed.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        # sqlite3 notes the directory for its temporary files when it is loaded, in the template: the job's current one.
        "SQLITE_TMPDIR": ".",
        # No process can be started, so joblib need not probe for it and warn: its parallel loops run one after the other.
        "JOBLIB_MULTIPROCESSING": "0",
        # What getpass and others ask for before /etc/passwd, which jobs may not read; the same name as in a private root.
        "LOGNAME": "job",
        INSTANCE_VARIABLE: instance,
    }


def copy_packages(directory: str) -> None:
    """Fill ``directory`` with the packages that a template needs and nothing else. Raises OSError.

    Copies and not links: a template's private root holds the directories of its search path, not what links in them lead to.
    """
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o755)  # workers of a daemon that runs as root are somebody else
    for name in _COPIED_PACKAGES:
        source = os.path.join(_package_dir(name), name)
        shutil.copytree(
            source,
            os.path.join(directory, name),
            ignore=shutil.ignore_patterns("__pycache__"),
            copy_function=shutil.copy,
            dirs_exist_ok=True,
        )


def _package_dir(name: str) -> str:
    # Looked up, not imported: the worker's package must never be in the daemon.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ExtraMissing(f"the package {name} is not installed; type: pip install 'warmfork[daemon]'")
    return os.path.dirname(os.path.dirname(spec.origin))


class TemplateLink:
    """One template process: started by exec, with its end of the control socket and nothing else of the daemon.

    Args:
        reactor: the event loop.
        python: the interpreter, empty for the daemon's own.
        environment: all it gets.
        on_record: called with each record and the descriptors that came with it.
        on_end: called once when the control socket has ended.

    Raises OSError when the interpreter cannot be started.
    """

    def __init__(
        self,
        reactor: Reactor,
        python: str,
        environment: Mapping[str, str],
        on_record: Callable[[control.Control, list[int]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._on_record = on_record
        self._on_end = on_end
        self._unsent: deque[tuple[bytes, Sequence[int]]] = deque()
        self._ended = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [python or sys.executable, "-m", "warmfork_worker", str(theirs.fileno())],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                )
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._link = ours
        reactor.watch(ours.fileno(), self._receive)

    @property
    def pid(self) -> int:
        """Of the template."""
        return self._process.pid

    def send(self, record: control.Control, fds: Sequence[int] = ()) -> None:
        """Send a record; the descriptors are closed here once they are on their way."""
        self._unsent.append((control.encode(record), fds))
        self._flush()

    def _flush(self) -> None:
        while self._unsent and not self._ended:
            packet, fds = self._unsent[0]
            try:
                socket.send_fds(self._link, [packet], list(fds))
            except BlockingIOError:
                self._reactor.watch_writable(self._link.fileno(), self._flush)
                return
            except (BrokenPipeError, ConnectionResetError):
                return  # its end is read in a moment
            _close_all(fds)
            self._unsent.popleft()
        if not self._ended:
            self._reactor.unwatch_writable(self._link.fileno())

    def _receive(self) -> None:
        for _ in range(_PACKETS_A_TURN):
            if self._ended:
                return
            try:
                packet, fds, _, _ = socket.recv_fds(self._link, control.PACKET_BYTES_MAX, control.FDS_MAX)
            except BlockingIOError:
                return
            except ConnectionResetError:
                packet, fds = b"", []
            if not packet:
                self._end()
                return
            try:
                record = control.decode(packet)
            except ProtocolError:
                _close_all(fds)
                self._end()
                return
            for fd in fds:
                os.set_inheritable(fd, False)
            self._on_record(record, fds)

    def _end(self) -> None:
        self.close()
        self._on_end()

    def close(self) -> None:
        """End the control socket; the template kills its workers, wipes their slots and leaves."""
        if self._ended:
            return
        self._ended = True
        self._reactor.unwatch(self._link.fileno())
        self._link.close()
        for _, fds in self._unsent:
            _close_all(fds)
        self._unsent.clear()

    def kill(self) -> None:
        """SIGKILL; the end of the socket, which follows, tells the rest."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def call_when_gone(self, timeout_s: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the process has left; it is killed when it has not in time."""
        try:
            pidfd = os.pidfd_open(self._process.pid)
        except (
            OSError
        ):  # gone and reaped, or no descriptor is to be had, and then it has its time before it is waited for
            self._reactor.call_later(timeout_s, callback)
            return
        timer = self._reactor.call_later(timeout_s, self.kill)

        def gone() -> None:
            timer.cancel()
            self._reactor.unwatch(pidfd)
            os.close(pidfd)
            callback()

        self._reactor.watch(pidfd, gone)

    def wait(self, timeout_s: float) -> int:
        """Wait for the process to leave, kill it when it does not in time; its exit status."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            return self._process.wait()


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)

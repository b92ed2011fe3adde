"""What stands outside of a job: files, listeners, a victim. It sees by itself whether any of it was touched."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.escape.daemons import shared_object, template_of, worker_uid
from tests.escape.numbers import NUMBERS
from tests.support import Served, wait_until

from warmfork import Client

State = dict[str, Any]
_VICTIM_S: Final = "900"
_MASK: Final = 0x5A


def masked(secret: bytes) -> bytes:
    """The secret as a job may be told what to look for without holding it."""
    return bytes(byte ^ _MASK for byte in secret)


class World:
    """The outside of one daemon's jobs.

    Everything a job could want is open to its uid: files that everybody may write, a victim of its own user. What
    refuses must be the guard and not a file mode.

    Args:
        served: the daemon.

    Attributes:
        secrets: texts that no job may bring out: of the canary file, of the victim's memory, the daemon's key.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self._uid = worker_uid(served)
        self._base = Path(tempfile.mkdtemp(prefix="warmfork-escape-"))
        self._base.chmod(0o755)
        self.outside = self._base / "open"
        self.mark = f"warmfork-mark-{secrets.token_hex(6)}"
        self._canary_secret = f"canary-{secrets.token_hex(12)}"
        self._victim_secret = f"victim-{secrets.token_hex(12)}"
        self.secrets = (self._canary_secret, self._victim_secret, (served.directory / "key").read_bytes().hex())
        self._connections = 0
        self._listeners: dict[str, socket.socket] = {}
        self._listen()
        self._make_files()
        self._start_victim()

    def variables(self) -> dict[str, Any]:
        """What a job is told of the outside; no secret is in it."""
        daemon = self.served.process.pid
        ports = {name: self._listeners[name].getsockname()[1] for name in ("tcp", "tcp6", "udp")}
        return {
            "NR": NUMBERS,
            "OUTSIDE": str(self.outside),
            "CANARY": str(self.outside / "canary"),
            "WRITABLE": str(self.outside / "writable"),
            "EMPTY_DIR": str(self.outside / "empty"),
            "LINK": str(self.outside / "link"),
            "NEW": str(self.outside / "new"),
            "MARK": self.mark,
            "HANDLE": _file_handle(self.outside / "canary"),
            "TCP_PORT": ports["tcp"],
            "TCP6_PORT": ports["tcp6"],
            "UDP_PORT": ports["udp"],
            "UNIX_PATH": str(self._base / "stream"),
            "UNIX_DATAGRAM": str(self._base / "datagram"),
            "ABSTRACT": self.mark + "-stream",
            "ABSTRACT_DATAGRAM": self.mark + "-datagram",
            "VICTIM_PID": self.victim.pid,
            "VICTIM_ADDRESS": self._victim_address,
            "DAEMON_PID": daemon,
            "DAEMON_ADDRESS": _heap_of(daemon),
            "TEMPLATE_PID": template_of(self.served),
            "RUNTIME_DIR": str(self.served.directory),
            "KEY_FILE": str(self.served.directory / "key"),
            "DAEMON_SOCKET": str(self.served.socket),
            "DISK": _root_disk(),
            "SHARED_OBJECT": shared_object(),
            "MASKED": masked(bytes.fromhex(self.secrets[2])),
            "MASKED_HEX": masked(self.secrets[2].encode()),
        }

    def state(self) -> State:
        """All of the outside that a job could change, by part."""
        self._accept()
        return {
            "files": self._files(),
            "connections": self._connections,
            "victim": self._victim_state(),
            "daemon": self.served.process.poll() is None,
        }

    def restore(self) -> None:
        """Make good what a control run has done."""
        self._remove_marks()
        for path in self.outside.iterdir():  # the directory itself stays: the victim stands in it
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._make_files()
        if self._victim_state() != self._victim_at_start:
            self._end_victim()
            self._start_victim()

    def close(self) -> None:
        """Remove everything."""
        self._end_victim()
        for listener in self._listeners.values():
            listener.close()
        self._remove_marks()
        shutil.rmtree(self._base)

    def leaked(self, text: str) -> list[str]:
        """Which of the secrets stand in the text."""
        return [secret for secret in self.secrets if secret in text]

    # Files

    def _make_files(self) -> None:
        self.outside.mkdir(exist_ok=True)
        self.outside.chmod(0o777)
        for name, text, mode in (("canary", self._canary_secret, 0o644), ("writable", "as it was", 0o666)):
            (self.outside / name).write_text(text + "\n")
            (self.outside / name).chmod(mode)
        os.setxattr(self.outside / "writable", "user.mark", b"1")
        (self.outside / "empty").mkdir()
        (self.outside / "empty").chmod(0o777)
        (self.outside / "link").symlink_to(self.outside / "canary")

    def _files(self) -> dict[str, Any]:
        paths = [self.outside, *sorted(self.outside.rglob("*")), *self._marked()]
        seen: dict[str, Any] = {}
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # a directory of marks is shared with other tests
                facts = path.lstat()
                what: object = ""
                if path.is_symlink():
                    what = os.readlink(path)
                elif path.is_file():
                    what = (hashlib.sha256(path.read_bytes()).hexdigest(), sorted(os.listxattr(path)))
                seen[str(path)] = (*facts[:6], facts.st_mtime_ns, what)
        return seen

    def _marked(self) -> list[Path]:
        planted = [self.served.directory / "planted", self.served.directory / "slots" / "planted"]
        found = [
            Path(name) for place in ("/tmp", "/var/tmp", "/dev/shm") for name in glob.glob(f"{place}/{self.mark}*")
        ]
        return found + [path for path in planted if path.exists()]

    def _remove_marks(self) -> None:
        for path in self._marked():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    # Listeners

    def _listen(self) -> None:
        abstract = "\0" + self.mark
        kinds: dict[str, tuple[int, int, Any]] = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(self._base / "stream")),
            "datagram": (socket.AF_UNIX, socket.SOCK_DGRAM, str(self._base / "datagram")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, abstract + "-stream"),
            "abstract datagram": (socket.AF_UNIX, socket.SOCK_DGRAM, abstract + "-datagram"),
        }
        for name, (family, kind, address) in kinds.items():
            listener = socket.socket(family, kind)
            listener.bind(address)
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen(16)
            self._listeners[name] = listener
        for name in ("stream", "datagram"):
            (self._base / name).chmod(0o777)

    def _accept(self) -> None:
        for listener in self._listeners.values():
            with contextlib.suppress(BlockingIOError):
                while True:
                    if listener.type == socket.SOCK_STREAM:
                        listener.accept()[0].close()
                    else:
                        listener.recv(64)
                    self._connections += 1

    # Victim

    def _start_victim(self) -> None:
        own = os.geteuid()
        with (self.outside / "canary").open("rb") as canary:
            self.victim = subprocess.Popen(
                ["/bin/sleep", _VICTIM_S],
                stdin=canary,
                stdout=subprocess.DEVNULL,
                cwd=self.outside,
                env={"SECRET": self._victim_secret},
                user=self._uid if own == 0 else None,
                group=self._uid if own == 0 else None,
                start_new_session=True,
            )
        wait_until(self._find_address, "the victim has its environment")
        self._victim_at_start = self._victim_state()

    def _find_address(self) -> bool:
        """Where in the victim's memory its secret stands."""
        pid = self.victim.pid
        with contextlib.suppress(OSError, StopIteration, ValueError):
            if not os.readlink(f"/proc/{pid}/exe").endswith("sleep"):
                return False
            line = next(line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "[stack]" in line)
            start, end = (int(edge, 16) for edge in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                found = os.pread(memory.fileno(), end - start, start).index(self._victim_secret.encode())
            self._victim_address = start + found
            return True
        return False

    def _victim_state(self) -> State:
        pid = self.victim.pid
        try:
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                text = os.pread(memory.fileno(), len(self._victim_secret), self._victim_address)
        except OSError:
            text = b""
        if not text:  # killed, whether or not its end can be waited for already
            return {"ended": self.victim.wait(5)}
        return {
            "ended": None,
            "memory": text,
            "nice": os.getpriority(os.PRIO_PROCESS, pid),
            "scheduler": os.sched_getscheduler(pid),
            "processors": os.sched_getaffinity(pid),
            "group": os.getpgid(pid),
            "limits": Path(f"/proc/{pid}/limits").read_text(),
        }

    def _end_victim(self) -> None:
        self.victim.kill()
        self.victim.wait()


def _file_handle(path: Path) -> bytes:
    """The kernel's handle of a file, as open_by_handle_at takes it."""
    room = ctypes.create_string_buffer((128).to_bytes(4, "little"), 256)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.name_to_handle_at(-100, os.fsencode(path), room, ctypes.byref(ctypes.c_int()), 0) != 0:
        return bytes(8)
    return room.raw[: 8 + int.from_bytes(room.raw[:4], "little")]


def _heap_of(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):  # only root may look into the non-dumpable daemon
        line = next(line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "[heap]" in line)
        return int(line.split("-")[0], 16)
    return 4096


def _root_disk() -> str:
    for line in Path("/proc/mounts").read_text().splitlines():
        device, place = line.split()[:2]
        if place == "/" and device.startswith("/dev/"):
            return device
    return "/dev/sda"


@dataclass(frozen=True, slots=True)
class Side:
    """A daemon, a client of it, and what stands outside of its jobs."""

    served: Served
    client: Client
    world: World

"""The runtime directory: its lock, its socket's path, its key and its slots.

One daemon a directory, held by an flock for as long as the process lives. ZeroMQ itself would let a second daemon take
an ipc address over without a word, so the lock comes before the bind. Whatever a dead daemon left is cleaned under it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from warmfork.errors import AlreadyServing, ConfigError, KeyUnavailable
from warmfork.places import IPC_PATH_BYTES_MAX, KEY_FILE_NAME, SOCKET_NAME
from warmfork.trees import wipe_tree
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork.wire.signature import KEY_BYTES

_LOCK_NAME: Final = "lock"
_SLOTS_NAME: Final = "slots"


class RuntimeDirectory:
    """A locked runtime directory.

    Args:
        path: made if missing (0700, or 0750 system-wide).
        system: a system-wide daemon's.
        keep_socket: its socket is the service manager's, who listens there before, while and after the daemon runs.

    Raises:
        AlreadyServing: another daemon holds it.
        ConfigError: it cannot be made, belongs to someone else, or its socket's path would be too long.
    """

    def __init__(self, path: str, *, system: bool = False, keep_socket: bool = False) -> None:
        self.path = Path(path)
        self._keep_socket = keep_socket
        self._system = system
        self.socket_path = self.path / SOCKET_NAME
        self.slots_dir = self.path / _SLOTS_NAME
        self._check_socket_path()
        self._make(0o750 if system else 0o700)
        try:
            self._lock_fd = self._lock()
        except OSError as problem:
            raise ConfigError(f"runtime_dir = {str(self.path)!r} cannot be locked: {problem}") from None
        try:
            self._clean()
        except OSError as problem:
            os.close(self._lock_fd)
            raise ConfigError(f"runtime_dir = {str(self.path)!r} cannot be cleaned: {problem}") from None

    def _check_socket_path(self) -> None:
        size = len(os.fsencode(self.socket_path))
        if size > IPC_PATH_BYTES_MAX:
            raise ConfigError(
                f"runtime_dir = {str(self.path)!r}: the socket {str(self.socket_path)!r} has a path of {size} bytes and the "
                f"kernel allows {IPC_PATH_BYTES_MAX}; choose a shorter directory"
            )

    def _make(self, mode: int) -> None:
        try:
            self.path.mkdir(mode=mode, parents=True, exist_ok=True)
            facts = self.path.lstat()
        except OSError as problem:
            raise ConfigError(f"runtime_dir = {str(self.path)!r} cannot be made or read: {problem}") from None
        if stat.S_ISLNK(facts.st_mode):
            raise ConfigError(f"runtime_dir = {str(self.path)!r} is a symbolic link; name the directory itself")
        if facts.st_uid != os.geteuid():
            raise ConfigError(
                f"runtime_dir = {str(self.path)!r} belongs to uid {facts.st_uid} and the daemon runs as {os.geteuid()}; "
                "choose a directory of its own"
            )
        if stat.S_IMODE(facts.st_mode) & 0o022:
            raise ConfigError(f"runtime_dir = {str(self.path)!r} can be written by others; make it mode {mode:04o}")

    def _lock(self) -> int:
        self._was_ours = os.path.lexists(self.path / _LOCK_NAME)
        fd = os.open(self.path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise AlreadyServing(
                f"another warmfork daemon (pid {holder}) serves {self.path}; stop it, or give this one another runtime_dir"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd

    def _clean(self) -> None:
        if not self._keep_socket:
            self.socket_path.unlink(missing_ok=True)
        left = [path.name for path in self.path.glob(f"{_SLOTS_NAME}*")]
        if left and not self._was_ours:  # no daemon has ever locked it, so these are somebody's files
            (self.path / _LOCK_NAME).unlink(missing_ok=True)
            os.close(self._lock_fd)
            raise ConfigError(
                f"runtime_dir = {str(self.path)!r} holds {', '.join(sorted(left)[:3])} and no daemon has served it before; "
                "choose a directory of its own"
            )
        self._wipe_slots()
        self.slots_dir.mkdir(mode=0o700)

    def _wipe_slots(self) -> None:
        for path in (self.slots_dir, *self.path.glob(f"{_SLOTS_NAME}-*")):
            wipe_tree(str(path))

    def slots_dir_of(self, template: str, generation: int = 1) -> Path:
        """The directory of the slots of one generation of a template: the first default one's is there, others are made.

        Raises OSError.
        """
        if template == TEMPLATE_DEFAULT and generation == 1:
            return self.slots_dir
        path = self.path / f"{_SLOTS_NAME}-{template}{f'.{generation}' if generation > 1 else ''}"
        path.mkdir(mode=0o700)
        return path

    def key(self, key_file: str, group_id: int | None) -> bytes:
        """The signing key: read from ``key_file`` (default: beside the socket), made there if missing.

        Mode 0600 for a user's daemon, 0640 with the socket's group system-wide. Raises KeyUnavailable.
        """
        path = Path(key_file) if key_file else self.path / KEY_FILE_NAME
        try:
            return self._read_key(path)
        except FileNotFoundError:
            pass
        key = secrets.token_bytes(KEY_BYTES)
        self._write_key(path, key, group_id)
        return key

    def _write_key(self, path: Path, key: bytes, group_id: int | None) -> None:
        mode = 0o640 if self._system else 0o600
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            scratch.unlink(missing_ok=True)  # in a container a dead daemon may have had the same pid
            fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as target:
                target.write(key)
                os.fchmod(fd, mode)
                if group_id is not None:
                    os.fchown(fd, -1, group_id)
            os.rename(scratch, path)
        except OSError as problem:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise KeyUnavailable(f"the key file {path} cannot be made: {problem}") from None

    def publish_key(self, source: Path, group_id: int | None) -> bytes:
        """Take the key from ``source``, a systemd credential, and put it beside the socket, where clients look for it.

        Raises KeyUnavailable.
        """
        try:
            key = self._read_key(source)
        except FileNotFoundError:
            raise KeyUnavailable(f"the credential {source} is gone") from None
        self._write_key(self.path / KEY_FILE_NAME, key, group_id)
        return key

    def _read_key(self, path: Path) -> bytes:
        try:
            facts = path.stat()
            key = path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as problem:
            raise KeyUnavailable(f"the key file {path} cannot be read: {problem}") from None
        if len(key) != KEY_BYTES:
            raise KeyUnavailable(
                f"the key file {path} holds {len(key)} bytes where {KEY_BYTES} are expected; remove it"
            )
        if stat.S_IMODE(facts.st_mode) & 0o027:
            raise KeyUnavailable(
                f"the key file {path} can be read by others or written by its group; make it 0600 or 0640"
            )
        return key

    def close(self, *, remove: bool = False) -> None:
        """Remove socket and slots and give the lock back; with ``remove`` the directory goes too."""
        if not self._keep_socket:
            self.socket_path.unlink(missing_ok=True)
        self._wipe_slots()
        if remove:
            wipe_tree(str(self.path))
        os.close(self._lock_fd)

"""Which paths a job may read and write.

Paths are judged where they lead (symbolic links resolved), because the job can make links in its own directories. What
happens between this check and the kernel's own look at the path is a race that this layer cannot win; it exists for
clear messages, the kernel guard holds the line.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import zoneinfo
from collections.abc import Iterable, Sequence
from typing import Final

from warmfork_worker.policy.refusals import refused
from warmfork_worker.policy.tables import READABLE_FILES, WRITABLE_FILES

_WRITE_FLAGS: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_READABLE_NAMES: Final = frozenset(entry.name for entry in READABLE_FILES)
_WRITABLE_NAMES: Final = frozenset(entry.name for entry in WRITABLE_FILES)
_SYSTEM_ROOTS: Final = ("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/locale", "/usr/share/zoneinfo")

_FDS: Final = "/proc/self/fd"

_READ_HINT: Final = "Pass the file in with files= and open it by its relative path."
_WRITE_HINT: Final = 'Write to a relative path; scratch files go below os.environ["TMPDIR"].'


def default_readable_roots() -> tuple[str, ...]:
    """The directories every job may read: standard library, site-packages, fonts, locales, time zones.

    Call it in the template, before anything of a job is on ``sys.path``. The current directory is never among them.
    """
    schemes = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    in_use = (path for path in sys.path if path and os.path.isabs(path) and path != os.getcwd())
    roots = [*schemes, *site.getsitepackages(), *in_use, *zoneinfo.TZPATH, *_SYSTEM_ROOTS, sys.executable]
    return tuple(dict.fromkeys(path for path in roots if os.path.exists(path)))


class FileRules:
    """Judges paths. Built in the template with the readable directories; ``enter`` adds the job's own two."""

    __slots__ = ("_readable", "_realpath", "_writable", "_writable_roots")

    def __init__(self, readable_roots: Sequence[str]) -> None:
        literal = {os.path.abspath(root) for root in readable_roots}
        self._readable = _with_slash(literal | {os.path.realpath(root) for root in literal})
        self._writable: tuple[str, ...] = ()
        self._writable_roots: tuple[str, ...] = ()
        # Bound here: the job may put its own function in the module's place.
        self._realpath = os.path.realpath

    def enter(self, *writable_roots: str) -> None:
        """Make ``writable_roots`` (absolute or relative to the current directory) the job's own."""
        self._writable_roots = tuple(self._realpath(root) for root in writable_roots)
        self._writable = _with_slash(self._writable_roots)

    def is_job_path(self, path: str) -> bool:
        """Whether ``path`` leads into one of the job's own directories."""
        return self._in_job(self._realpath(path))

    def check_open(self, path: object, flags: int) -> None:
        """Judge an ``open`` with these flags. Raises PermissionError."""
        if flags & _WRITE_FLAGS:
            self.check("write", path)
        else:
            self.check("read", path)

    def check(self, use: str, path: object, dir_fd: object = -1) -> None:
        """Judge one path; ``use`` as in ``tables.PathUse``. Raises PermissionError.

        Open file descriptors pass: whoever holds one was judged when it was opened.
        """
        if isinstance(path, int):
            return
        written = _as_text(path)
        if isinstance(dir_fd, int) and dir_fd >= 0 and not written.startswith("/") and not os.path.exists(_FDS):
            return  # nothing tells where the descriptor leads; in a private root only the job's own can be written
        if use == "read":
            self._check_read(written, dir_fd)
        elif written not in _WRITABLE_NAMES:
            resolved = self._resolve(written, dir_fd, follow=use == "write")
            if not self._in_job(resolved):
                raise refused(f"Writing to {written!r}", _WRITE_HINT)

    def check_database(self, database: object) -> None:
        """Judge a sqlite3 database name, which may be ``:memory:``, empty or a ``file:`` URI."""
        written = _as_text(database)
        if written in ("", ":memory:"):
            return
        if written.startswith("file:"):
            written, _, query = written.removeprefix("file:").partition("?")
            if written in ("", ":memory:") or "mode=memory" in query:
                return
            if written.startswith("//"):
                written = "/" + written[2:].partition("/")[2]
        self.check("write", written)

    def _check_read(self, written: str, dir_fd: object) -> None:
        # The first test spares library files the walk over their links: no job can make links below those roots.
        if written.startswith(self._readable) and "/.." not in written:
            return
        if written in _READABLE_NAMES:
            return
        resolved = self._resolve(written, dir_fd, follow=True)
        if not (self._in_job(resolved) or (resolved + "/").startswith(self._readable)):
            raise refused(f"Reading {written!r}", _READ_HINT)

    def _in_job(self, resolved: str) -> bool:
        return resolved.startswith(self._writable) or resolved in self._writable_roots

    def _resolve(self, path: str, dir_fd: object, *, follow: bool) -> str:
        if isinstance(dir_fd, int) and dir_fd >= 0 and not path.startswith("/"):
            path = f"{_FDS}/{dir_fd}/{path}"
        if follow:
            return self._realpath(path)
        directory, name = os.path.split(path.rstrip("/"))
        if name in ("", ".", ".."):
            return self._realpath(path)
        return self._realpath(directory).rstrip("/") + "/" + name


def _as_text(path: object) -> str:
    """The path as text; None is how the audit events of ``os.listdir()`` and ``os.scandir()`` spell ``"."``."""
    if path is None:
        return "."
    return os.fsdecode(path)  # type: ignore[arg-type]  # what is no path raises the TypeError that the caller would raise


def _with_slash(roots: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(root.rstrip("/") + "/" for root in roots))

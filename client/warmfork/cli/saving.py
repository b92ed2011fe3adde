"""Charts and files of a result onto the disk, without ever replacing something silently.

A file with other bytes is left alone and the next free name is used (``chart-1-2.png``); the same bytes are not written
twice, so that running a script again does not pile up copies. ``overwrite`` replaces regular files.

Names come from the job: nothing is written outside the directory, through a link, hidden, or under a name that could
steer a terminal. A name that is in the way, or too long once numbered, gives way to the next one; it fails no other file.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from warmfork.cli.exits import UsageError
from warmfork.cli.terminal import harmless_name
from warmfork.results import Chart

_EXTENSION_OF: Final = {"image/png": "png", "image/svg+xml": "svg", "application/pdf": "pdf", "image/jpeg": "jpg"}
_NAME_BYTES_MAX: Final = 255
_SUFFIX_BYTES_MAX: Final = 32


class Saver:
    """Writes into one directory and remembers which names this run has used.

    Args:
        out: the directory; created if missing.
        overwrite: replace files that are there.

    Raises:
        UsageError: the directory cannot be made or written to.
    """

    def __init__(self, out: str, *, overwrite: bool = False) -> None:
        self._out = Path(out)
        self._overwrite = overwrite
        self._used: set[Path] = set()
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UsageError(f"cannot make the directory {out!r}: {problem.strerror}") from None
        if not os.access(self._out, os.W_OK | os.X_OK):
            raise UsageError(f"cannot write into the directory {out!r}")

    def save_charts(self, charts: Sequence[Chart]) -> list[Path]:
        """Write each chart; returns where, in their order. Raises OSError."""
        order = list(dict.fromkeys(chart.figure_number for chart in charts if chart.file_name is None))
        return [self._save(_chart_name(chart, order), chart.data) for chart in charts]

    def save_files(self, files: Mapping[str, bytes]) -> dict[str, Path]:
        """Write each file below the directory, under its own path; returns where, by name. Raises OSError."""
        return {name: self._save(name, data) for name, data in files.items()}

    def _save(self, name: str, data: bytes) -> Path:
        *parents, base = (harmless_name(part) or "_" for part in name.split("/"))
        directory = self._out
        for parent in parents:
            directory = self._make_directory(directory, parent)
        for number in itertools.count(1):
            path = directory / _numbered(base, number)
            if path not in self._used and self._write(path, data):
                self._used.add(path)
                return path
        raise AssertionError("count() does not end")

    def _make_directory(self, above: Path, name: str) -> Path:
        """A directory of this name, or of the next free one where a file has it."""
        for number in itertools.count(1):
            path = above / _numbered(name, number)
            try:
                path.mkdir()
            except FileExistsError:
                if not path.is_dir():
                    continue
                if not path.resolve().is_relative_to(self._out.resolve()):
                    raise OSError(None, "a link leads out of the directory", str(path)) from None
            return path
        raise AssertionError("count() does not end")

    def _write(self, path: Path, data: bytes) -> bool:
        """False if the name is taken by something else."""
        if os.path.lexists(path):
            if path.is_symlink() or not path.is_file():
                return False
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return True
            if not self._overwrite:
                return False
        temporary = path.with_name(f".warmfork-{os.getpid()}-{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            if self._overwrite:
                os.replace(temporary, path)
                return True
            # Unlike a rename, a link fails where somebody else has made the name meanwhile.
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return True


def _numbered(name: str, number: int) -> str:
    """``table-2.csv`` for the second ``table.csv``; the stem is cut where the whole would be too long for a file system."""
    stem, suffix = os.path.splitext(name)
    if len(suffix.encode()) > _SUFFIX_BYTES_MAX:
        stem, suffix = name, ""
    ending = suffix if number == 1 else f"-{number}{suffix}"
    return stem.encode()[: _NAME_BYTES_MAX - len(ending.encode())].decode(errors="ignore") + ending


def _chart_name(chart: Chart, order: Sequence[int | None]) -> str:
    """The saved file's own base name, or ``chart-N`` with N counting figures, so that png and svg of one share it."""
    if chart.file_name is not None:
        name = harmless_name(PurePosixPath(chart.file_name).name)
        return name or f"chart.{_EXTENSION_OF[chart.media_type]}"
    return f"chart-{order.index(chart.figure_number) + 1}.{_EXTENSION_OF.get(chart.media_type, 'bin')}"

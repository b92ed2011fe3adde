"""Loads native modules ahead, where a job cannot: without a ``noexec`` job directory no file may become code after the guard.

Libraries load many of their own late: numpy its Fourier transforms, Pillow its font renderer, Python its codecs.
"""

from __future__ import annotations

import contextlib
import sys
import sysconfig
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("numpy", "pandas", "matplotlib", "PIL", "contourpy", "kiwisolver", "fontTools")
_NOT_LOADED: Final = ("test", "xx", "tk", "curses", "readline", "macosx", "ossaudio")
"""Parts of names: what only tests, windows and terminals use; some of these ask for a display or change the terminal."""
_MORE: Final = (
    "PIL.WebPImagePlugin",
    "PIL.ImageFont",
    "numpy.fft",
    "encodings.big5",
    "encodings.shift_jis",
    "encodings.euc_kr",
)


def load_native_parts() -> None:
    """Import every extension of the standard library and of the loaded ones of ``_PACKAGES``; what does not load is left."""
    for name in (*_standard(), *_of_packages(), *_MORE):
        package, dot, _ = name.partition(".")
        if not dot or package in sys.modules:
            with contextlib.suppress(Exception):
                import_module(name)


def _standard() -> Iterator[str]:
    yield from _below(Path(sysconfig.get_config_var("DESTSHARED") or sysconfig.get_path("platstdlib")), "", "*")


def _of_packages() -> Iterator[str]:
    for package in _PACKAGES:
        for directory in getattr(sys.modules.get(package), "__path__", ()):
            yield from _below(Path(directory), f"{package}.", "**/*")


def _below(directory: Path, prefix: str, pattern: str) -> Iterator[str]:
    for suffix in EXTENSION_SUFFIXES:
        for path in sorted(directory.glob(pattern + suffix)):
            name = str(path.relative_to(directory))[: -len(suffix)]
            if "." not in name and not any(part in name.lower() for part in _NOT_LOADED):
                yield prefix + name.replace("/", ".")

"""Keeps opened fonts over the fork.

matplotlib empties its cache of opened fonts in every forked child, because children that read one open file share
its position. Opening them again is the larger part of a small chart's text (20 ms alone for a 8 MB CFF font). Faces
that read from memory share nothing: each child has its own copy, so these stay valid and stay cached.
"""

from __future__ import annotations

import io
import os
from functools import lru_cache
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Any, Final

FACES_MAX: Final = 256  # Lists of fonts opened at a time; matplotlib's own cache holds 64, and the templates need more.


class FontMemory(io.BytesIO):
    """A font file's bytes that go by their path where matplotlib asks an opened font for its file."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            super().__init__(file.read())
        self.path = path

    def __str__(self) -> str:
        return self.path


def keep_faces_over_fork() -> bool:
    """Replace matplotlib's cache of opened fonts by one whose faces read from memory and outlive a fork.

    Returns False, with nothing changed, on a matplotlib that is built differently (before 3.11): there every child
    opens its fonts again.
    """
    manager: Any = import_module("matplotlib.font_manager")
    cached = getattr(manager, "_get_font", None)
    opening = getattr(cached, "__wrapped__", None)
    if getattr(cached, "keeps_faces", False):
        return True
    # FontPath came with the version in which every use of an opened font's file name goes through str().
    if not isinstance(opening, FunctionType) or not hasattr(manager, "FontPath"):
        return False
    ft2font = import_module("matplotlib.ft2font")
    in_memory = SimpleNamespace(FT2Font=_opening_from_memory(ft2font.FT2Font))
    names = {**vars(manager), "ft2font": in_memory}
    opens_from_memory = FunctionType(opening.__code__, names, opening.__name__, opening.__defaults__)
    opens_from_memory.__kwdefaults__ = opening.__kwdefaults__
    kept: Any = lru_cache(FACES_MAX)(opens_from_memory)
    kept.keeps_faces = True
    manager._get_font = kept
    return True


def _opening_from_memory(ft2font: Any) -> Any:
    files: dict[tuple[str, int, int, int], FontMemory] = {}

    def open_face(path: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(path, str):
            return ft2font(path, *args, **kwargs)
        stat = os.stat(path)
        key = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)  # A job may write another font to the same path.
        if key not in files:
            files[key] = FontMemory(str(path))
        return ft2font(files[key], *args, **kwargs)

    return open_face

"""Tells whether two results of one job are the same chart for chart, and what is not."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from PIL import Image

from warmfork import Chart, Result

_PIXELS: Final = ("image/png", "image/jpeg")
# Dates of making, and ids that matplotlib draws at random for each SVG file.
_VARYING: Final = re.compile(
    rb"<dc:date>[^<]*</dc:date>|/CreationDate \([^)]*\)|/ModDate \([^)]*\)|(?<=[#\"])[a-z][0-9a-f]{10}\b"
)


def differences(there: Result, here: Result) -> list[str]:
    """Each difference in a few words; empty where there is none."""
    return [*_ends(there, here), *_charts(there, here), *_files(there, here)]


def _ends(there: Result, here: Result) -> Iterator[str]:
    for name in ("verdict", "error", "exit_code", "stdout", "stderr"):
        left, right = getattr(there, name), getattr(here, name)
        if left != right:
            yield f"{name}: {left!r} became {right!r}"


def _charts(there: Result, here: Result) -> Iterator[str]:
    if len(there.charts) != len(here.charts):
        yield f"{len(there.charts)} charts became {len(here.charts)}"
    for left, right in zip(there.charts, here.charts, strict=False):
        what = f"chart {left.index} ({left.title or left.file_name}, {left.media_type})"
        for name in ("media_type", "title", "figure_number", "file_name", "width_px", "height_px"):
            if getattr(left, name) != getattr(right, name):
                yield f"{name} of {what}: {getattr(left, name)!r} became {getattr(right, name)!r}"
        if not _same_picture(left, right):
            yield f"{what} differs"


def _same_picture(left: Chart, right: Chart) -> bool:
    if left.media_type != right.media_type:
        return False
    if left.media_type in _PIXELS:
        return bool(np.array_equal(_pixels(left.data), _pixels(right.data)))
    return _VARYING.sub(b"", left.data) == _VARYING.sub(b"", right.data)


def _pixels(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGBA"))


def _files(there: Result, here: Result) -> Iterator[str]:
    for name in sorted(there.files.keys() ^ here.files.keys()):
        yield f"the file {name} is {'missing' if name in there.files else 'new'}"

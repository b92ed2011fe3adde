"""Sizes in pixels of the image formats that charts come in, read from their bytes."""

from __future__ import annotations

import io
import re
import struct
from importlib import import_module
from typing import Any, Final

POINTS_PER_INCH: Final = 72
_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_SVG_SIZE: Final = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"')
_PDF_SIZE: Final = re.compile(rb"/MediaBox \[ ?([-0-9.]+) ([-0-9.]+) ([-0-9.]+) ([-0-9.]+) ?\]")


def size_px(data: bytes, media_type: str, dpi: float) -> tuple[int, int]:
    """Width and height of an image as matplotlib writes it; (0, 0) where they cannot be read.

    Args:
        data: the whole file, or its beginning.
        media_type: ``image/png``, ``image/svg+xml``, ``application/pdf`` or ``image/jpeg``.
        dpi: pixels per inch at which SVG and PDF, which are sized in points, count.
    """
    match media_type:
        case "image/png" if data.startswith(_PNG_MAGIC) and len(data) >= 24:
            return struct.unpack(">II", data[16:24])
        case "image/svg+xml" if found := _SVG_SIZE.search(data):
            return _pixels(float(found[1]), dpi), _pixels(float(found[2]), dpi)
        case "application/pdf" if found := _PDF_SIZE.search(data):
            left, bottom, right, top = (float(part) for part in found.groups())
            return _pixels(right - left, dpi), _pixels(top - bottom, dpi)
        case "image/jpeg":
            return _jpeg_size(data)
    return 0, 0


def _pixels(points: float, dpi: float) -> int:
    return round(points * dpi / POINTS_PER_INCH)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    try:
        image: Any = import_module("PIL.Image")
        with image.open(io.BytesIO(data), formats=("JPEG",)) as opened:
            width, height = opened.size
            return int(width), int(height)
    except Exception:  # Whatever a file with a JPEG's name holds, its size is then unknown.
        return 0, 0

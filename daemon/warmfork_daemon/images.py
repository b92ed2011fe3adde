"""Is this what its media type says? Magic and size bounds of charts, read without decoding an image.

Sources: PNG specification (third edition) 5.2 and 11.2.2; ITU-T T.81 B.1 and B.2.2 for JPEG; ISO 32000-1 7.5.2 for
PDF. Width times height is bounded so that a chart cannot be a decompression bomb for whoever opens it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from warmfork.wire import limits

PIXELS_MAX: Final = 100_000_000

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_PNG_BYTES_MIN: Final = 57  # magic, IHDR, an empty IDAT, IEND
_JPEG_MARKERS_MAX: Final = 512
_SVG_START: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*+(?><\?xml[^>]{0,200}\?>\s*+)?(?><!--.{0,2000}?-->\s*+)*+(?><!DOCTYPE\s++svg[^>\[]{0,500}>\s*+)?"
    rb"(?><!--.{0,2000}?-->\s*+)*+<svg[\s>]",
    re.DOTALL,
)

MEDIA_TYPE_BY_SUFFIX: Final = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Width and height in pixels; None where the format does not say it in its header."""

    width_px: int | None
    height_px: int | None


def measure(media_type: str, data: bytes | memoryview) -> ImageSize | None:
    """The size of an image, or None when the bytes are not of this media type or its pixels are out of bounds."""
    if media_type == "image/png":
        return _measure_png(data)
    if media_type == "image/jpeg":
        return _measure_jpeg(data)
    start = bytes(data[:8_192])
    if media_type == "image/svg+xml":
        return ImageSize(None, None) if _SVG_START.match(start) else None
    if media_type == "application/pdf":
        return ImageSize(None, None) if start.startswith((b"%PDF-1.", b"%PDF-2.")) else None
    return None


def _bounded(width_px: int, height_px: int) -> ImageSize | None:
    sides_fit = 1 <= width_px <= limits.IMAGE_PX_MAX and 1 <= height_px <= limits.IMAGE_PX_MAX
    return ImageSize(width_px, height_px) if sides_fit and width_px * height_px <= PIXELS_MAX else None


def _measure_png(data: bytes | memoryview) -> ImageSize | None:
    if len(data) < _PNG_BYTES_MIN or bytes(data[:8]) != _PNG_MAGIC or bytes(data[8:16]) != b"\0\0\0\rIHDR":
        return None
    width_px, height_px = struct.unpack(">II", data[16:24])
    return _bounded(width_px, height_px)


def _measure_jpeg(data: bytes | memoryview) -> ImageSize | None:
    if bytes(data[:3]) != b"\xff\xd8\xff":
        return None
    place = 2
    for _ in range(_JPEG_MARKERS_MAX):
        if place + 9 > len(data) or data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte before a marker
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height_px, width_px = struct.unpack(">HH", data[place + 5 : place + 9])
            return _bounded(width_px, height_px)
        place += 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    return None

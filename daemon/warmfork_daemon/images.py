"""Is this what its media type says? Magic and size bounds of charts, read without decoding an image.

Sources: PNG specification (third edition) 5.2 and 11.2.2; ITU-T T.81 B.1 and B.2.2 for JPEG; ISO 32000-1 7.5.2 for
PDF. Width times height is bounded so that a chart cannot be a decompression bomb for whoever opens it.

What is promised: the bytes begin as an image of this type does, and a PNG or JPEG says it has a bounded number of pixels. Not
promised: that the rest is whole, or harmless to a careless reader. An SVG defines no entities but may hold scripts, and
a PDF too: both are active content, to be shown by what does not run them.
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
# Between the encodings that an XML reader knows some hide one markup inside another's text: three plain ones are taken.
_XML_DECLARATION: Final = rb"""
    <\?xml\s++version\s*+=\s*+["']1\.[0-9]["']
    (?:\s++encoding\s*+=\s*+["'](?i:utf-8|us-ascii|iso-8859-1)["'])?+
    (?:\s++standalone\s*+=\s*+["'](?:yes|no)["'])?+\s*+\?>
"""
# Only the SVG recommendation's own document types, spelled out: in the quotes of another a bracket or an angle could
# hide an internal subset, which defines entities that expand without bound.
_DOCTYPE: Final = rb"""
    <!DOCTYPE\s++svg(?:\s++PUBLIC\s++(?P<q>["'])-//W3C//DTD[ ]SVG[ ][\w. ]{1,40}+//EN(?P=q)
    \s++(?P<u>["'])https?://www\.w3\.org/[\w./-]{1,200}+(?P=u))?+\s*+>
"""
_COMMENTS: Final = rb"(?><!--.{0,2000}?-->\s*+)*+"
_SVG_START: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?+\s*+(?:%b\s*+)?+%b(?:%b\s*+)?+%b<svg[\s>]"
    % (_XML_DECLARATION, _COMMENTS, _DOCTYPE, _COMMENTS),
    re.DOTALL | re.VERBOSE,
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
        if marker <= 0x01 or 0xD0 <= marker <= 0xD9:
            # These have no length: a reader that skips one by the bytes behind it sees another picture than one that
            # does not, and none of them belongs before the frame header.
            return None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height_px, width_px = struct.unpack(">HH", data[place + 5 : place + 9])
            return _bounded(width_px, height_px)
        place += 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    return None

"""The parsers of images and text: any bytes and any text end in an answer, in bounded time, and never in an exception."""

from __future__ import annotations

import io
import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.mutation import FUZZ, mutated

from warmfork.redaction import OUTPUT_CHARS_MAX, TRUNCATED, redact, redact_cut, shorten
from warmfork.wire import limits
from warmfork.wire.records import MEDIA_TYPES
from warmfork_daemon import images
from warmfork_daemon.output import BoundedOutput


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xfe\x00\x06text\xff\xff\xdb\x00\x05abc"
    b"\xff\xc2\x00\x11\x08\x00\x14\x00\x1e\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00\xff\xda\x00\x08"
)
SVG = (
    b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8' standalone='no'?>\n<!-- one -->\n"
    b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
    b"<!-- two --><svg width='1pt'><script/></svg>"
)
IMAGES = [_png(), JPEG, SVG, b"%PDF-1.7\n%\xe2\xe3\n1 0 obj"]
PIECES = st.sampled_from(
    [b"<!--", b"-->", b"<?xml", b"?>", b"<!DOCTYPE svg", b" PUBLIC ", b'"', b"'", b"[", b"]", b">", b"<svg>", b" " * 3_000,
     b"<!ENTITY a 'a'>", b"\xff\xd8", b"\xff\xe0\0\2", b"\xff\xff", b"\xff\xc0\0\x11\x08", b"IHDR", b"\0\0\0\r", b"%PDF-"]
)  # fmt: skip


@FUZZ
@given(st.binary(max_size=200) | mutated(IMAGES) | st.lists(PIECES, max_size=40).map(b"".join))
def test_any_bytes_are_measured_or_no_image(data: bytes) -> None:
    """Invariant: an image is of one type at most, its sides and area are in their bounds, and no SVG has a subset."""
    sizes = {media_type: images.measure(media_type, data) for media_type in MEDIA_TYPES}
    found = {media_type: size for media_type, size in sizes.items() if size is not None}
    assert len(found) <= 1
    for media_type, size in found.items():
        assert size == images.measure(media_type, memoryview(data))
        assert (size.width_px is None) == (media_type in ("image/svg+xml", "application/pdf"))
        if size.width_px is not None and size.height_px is not None:
            assert 1 <= size.width_px * size.height_px <= images.PIXELS_MAX
            assert max(size.width_px, size.height_px) <= limits.IMAGE_PX_MAX
        if media_type == "image/svg+xml":
            assert b"[" not in _outside_comments(data[: data.index(b"<svg")])


def _outside_comments(prolog: bytes) -> bytes:
    while b"<!--" in prolog:
        before, _, rest = prolog.partition(b"<!--")
        prolog = before + rest.partition(b"-->")[2]
    return prolog


SECRETS = st.sampled_from(
    ["password", "api_key", "token", "SECRET_KEY", "=", ": ", "'", '"', '"""', "\\", "\n", " ", "eyJ", ".", "a" * 30,
     "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "postgres://u:p@h/d", "AKIA" + "A" * 16,
     "PATH=/bin\n", "export A=b\n", "[REDACTED]", "bearer ", "{", "]", "\udc80", "\x1b[31m"]
)  # fmt: skip
texts = st.text(max_size=60) | st.lists(SECRETS | st.text(max_size=5), max_size=30).map("".join)


@FUZZ
@given(texts)
def test_redaction_never_fails_and_is_done_at_once(text: str) -> None:
    """Invariant: any text is redacted without an exception, and redacting it again changes nothing."""
    once = redact(text)
    assert once == redact(once)
    assert len(shorten(once)) <= OUTPUT_CHARS_MAX + len(TRUNCATED)


@FUZZ
@given(texts, texts, st.integers(0, 1 << 40))
def test_redaction_of_cut_text_never_fails(head: str, tail: str, dropped: int) -> None:
    """Invariant: what a bounded stream kept is redacted wherever it was cut."""
    kept, rest = redact_cut(head, tail, dropped)
    assert (dropped == 0) <= (rest == "")
    assert kept == redact(kept)


@FUZZ
@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(0, 64))
def test_output_is_bounded_and_counted(pieces: list[bytes], bytes_max: int) -> None:
    """Invariant: of any output the beginning and the end are kept, within the bound, and the rest is counted."""
    output, whole = BoundedOutput(bytes_max), b"".join(pieces)
    for piece in pieces:
        output.add(piece)
    text = output.text()
    assert len(text.head) + len(text.tail) <= bytes_max
    assert len(whole) == len(text.head) + len(text.tail) + text.dropped
    assert (True, True) == (whole.startswith(text.head), whole.endswith(text.tail))
    assert text.dropped or whole == text.head


def test_the_seeds_are_images() -> None:
    """The mutations begin at what is measured; Pillow agrees about the PNG's header."""
    from PIL import Image

    assert images.ImageSize(30, 20) == images.measure("image/png", IMAGES[0])
    assert images.ImageSize(30, 20) == images.measure("image/jpeg", JPEG)
    assert images.ImageSize(None, None) == images.measure("image/svg+xml", SVG)
    assert (30, 20) == Image.open(io.BytesIO(IMAGES[0])).size

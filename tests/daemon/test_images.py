"""Images are what their media type says, by magic and size bounds, for any bytes at all and in bounded time."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.support import PACKAGE_PATHS

from warmfork.wire import limits
from warmfork.wire.records import MEDIA_TYPES
from warmfork_daemon.images import MEDIA_TYPE_BY_SUFFIX, PIXELS_MAX, ImageSize, measure

PNG, SVG, PDF, JPEG = MEDIA_TYPES
NO_SIZE = ImageSize(None, None)
XML = b'<?xml version="1.0" encoding="utf-8" standalone="no"?>\n'
DOCTYPE = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
HOSTILE_DEADLINE_S = 20.0


def png_of(width_px: int, height_px: int) -> bytes:
    """A PNG whose header says this size; its pixels are not there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def segment(marker: int, data: bytes, length: int | None = None) -> bytes:
    """A JPEG marker segment; ``length`` where the field shall lie."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2 if length is None else length) + data


def frame_header(marker: int, width_px: int, height_px: int) -> bytes:
    return segment(marker, struct.pack(">BHHB", 8, height_px, width_px, 3) + b"\x01\x11\x00" * 3)


def pillow_image(kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (37, 21), "teal").save(target, kind, **options)
    return target.getvalue()


def drawn(kind: str) -> bytes:
    """A figure of 3 x 2 inches at 100 dpi, as matplotlib writes it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2), dpi=100)
    FigureCanvasAgg(figure)
    figure.subplots().plot([1, 2, 3])
    target = io.BytesIO()
    figure.savefig(target, format=kind)
    return target.getvalue()


@pytest.mark.parametrize(
    ("media_type", "kind", "size"),
    [
        (PNG, "png", ImageSize(300, 200)),
        (JPEG, "jpeg", ImageSize(300, 200)),
        (SVG, "svg", NO_SIZE),
        (PDF, "pdf", NO_SIZE),
    ],
)
def test_what_matplotlib_writes_is_measured(media_type: str, kind: str, size: ImageSize) -> None:
    """Every format that matplotlib saves is its media type, and nothing else's."""
    data = drawn(kind)
    assert size == measure(media_type, data)
    assert size == measure(media_type, memoryview(data))
    assert [None] * 3 == [measure(other, data) for other in MEDIA_TYPES if other != media_type]


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        (PNG, pillow_image("PNG")),
        (PNG, pillow_image("PNG", optimize=True, dpi=(300, 300))),
        (JPEG, pillow_image("JPEG")),
        (JPEG, pillow_image("JPEG", progressive=True, quality=95)),
        (JPEG, pillow_image("JPEG", comment=b"c" * 60_000, exif=Image.Exif(), icc_profile=b"i" * 200_000)),
    ],
)
def test_what_pillow_writes_is_measured(media_type: str, data: bytes) -> None:
    """Baseline and progressive JPEG, long comments and profiles: width and height are the picture's."""
    assert ImageSize(37, 21) == measure(media_type, data)


def test_the_smallest_png_is_one() -> None:
    """A picture of one pixel is a chart."""
    target = io.BytesIO()
    Image.new("1", (1, 1)).save(target, "PNG")
    assert ImageSize(1, 1) == measure(PNG, target.getvalue())


@pytest.mark.parametrize("width_px", [0, 1, limits.IMAGE_PX_MAX, limits.IMAGE_PX_MAX + 1, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("height_px", [0, 1, limits.IMAGE_PX_MAX, limits.IMAGE_PX_MAX + 1, (1 << 32) - 1])
def test_png_sides_are_bounded(width_px: int, height_px: int) -> None:
    """A side of 0, one over the bound, or an area over the bound is no chart."""
    sides_fit = 0 < width_px <= limits.IMAGE_PX_MAX and 0 < height_px <= limits.IMAGE_PX_MAX
    expected = ImageSize(width_px, height_px) if sides_fit and width_px * height_px <= PIXELS_MAX else None
    assert expected == measure(PNG, png_of(width_px, height_px))


def test_png_area_is_bounded() -> None:
    """The most pixels allowed pass, one row more does not."""
    assert ImageSize(10_000, PIXELS_MAX // 10_000) == measure(PNG, png_of(10_000, PIXELS_MAX // 10_000))
    assert measure(PNG, png_of(10_000, PIXELS_MAX // 10_000 + 1)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\x88" + data[1:],
        lambda data: data[:8] + b"\0\0\0\x0e" + data[12:],
        lambda data: data[:12] + b"IDAT" + data[16:],
        lambda data: b" " + data,
        lambda data: data.replace(b"\r\n", b"\n"),
        lambda data: data[:56],
    ],
)
def test_a_png_with_one_thing_wrong_is_none(change: Callable[[bytes], bytes]) -> None:
    """Magic, chunk length, chunk name, place and least size all count."""
    assert measure(PNG, png_of(3, 3)) is not None
    assert measure(PNG, change(png_of(3, 3))) is None


@pytest.mark.parametrize(
    "marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF], ids=hex
)
def test_every_jpeg_frame_header_gives_the_size(marker: int) -> None:
    """All thirteen SOF markers of T.81 table B.1 are read, width and height not swapped."""
    data = b"\xff\xd8" + segment(0xE0, b"JFIF\0") + frame_header(marker, 640, 480)
    assert ImageSize(640, 480) == measure(JPEG, data)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC], ids=hex)
def test_jpeg_tables_are_no_frame_headers(marker: int) -> None:
    """DHT, JPG and DAC share the number range and are skipped."""
    data = b"\xff\xd8" + segment(marker, b"\x08\x00\x01\x00\x01xx") + frame_header(0xC0, 640, 480)
    assert ImageSize(640, 480) == measure(JPEG, data)


@pytest.mark.parametrize("marker", [0x00, 0x01, *range(0xD0, 0xDA)], ids=hex)
def test_jpeg_markers_without_a_length_are_not_skipped(marker: int) -> None:
    """A small frame header behind a bogus length does not hide the big one that a reader finds right behind the marker."""
    big = bytes([0xFF, marker]) + frame_header(0xC0, 60_000, 60_000)  # as a length, FF C0 is 65,472
    data = b"\xff\xd8" + big.ljust(2 + 0xFFC0, b"\0") + frame_header(0xC0, 8, 8)
    assert measure(JPEG, data) is None


def test_jpeg_fill_bytes_are_skipped() -> None:
    """Any number of FF before a marker is padding (T.81 B.1.1.2), up to a bound."""
    body = segment(0xE0, b"x") + b"\xff" * 100 + frame_header(0xC2, 64, 48)
    assert ImageSize(64, 48) == measure(JPEG, b"\xff\xd8" + body)
    assert measure(JPEG, b"\xff\xd8" + b"\xff" * 1_000_000) is None


@pytest.mark.parametrize("width_px", [0, 1, 65_535])
@pytest.mark.parametrize("height_px", [0, 1, 65_535])
def test_jpeg_sides_are_bounded(width_px: int, height_px: int) -> None:
    """Neither no lines (DNL) nor four thousand million pixels."""
    fits = width_px and height_px and width_px * height_px <= PIXELS_MAX
    expected = ImageSize(width_px, height_px) if fits else None
    assert expected == measure(JPEG, b"\xff\xd8" + frame_header(0xC0, width_px, height_px))


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xe0\x00\x00" * 50_000,
        b"\xff\xe0\x00\x01" * 50_000,
        b"\xff\xe0\x00\x02" * 50_000,
        b"\xff\xd0\x00\x00" * 50_000,
        b"\xff\x00" * 100_000,
        segment(0xE1, b"", length=65_535),
        segment(0xE1, b"y" * 50) + b"no marker here",
        b"\xff\xd9" + b"\0" * 100,
    ],
    ids=["length 0", "length 1", "empty", "restart", "stuffing", "past the end", "no marker", "end of image"],
)
def test_jpegs_that_lead_nowhere_are_none(body: bytes) -> None:
    """Chains of markers, segments shorter than their own length field and those past the end come to an end."""
    assert measure(JPEG, b"\xff\xd8" + body) is None


def test_a_jpeg_marker_chain_is_bounded() -> None:
    """A frame header is found behind a few hundred segments and given up behind thousands."""
    few, many = segment(0xFE, b"c") * 300, segment(0xFE, b"c") * 5_000
    assert ImageSize(8, 4) == measure(JPEG, b"\xff\xd8" + few + frame_header(0xC0, 8, 4))
    assert measure(JPEG, b"\xff\xd8" + many + frame_header(0xC0, 8, 4)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"<svg/>".replace(b"/", b" "),
        b"<svg>",
        b"<svg\n xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<svg >",
        b"\r\n\t <svg>",
        XML + b"<svg>",
        b"\xef\xbb\xbf" + XML + DOCTYPE + b"<svg >",
        XML + b"<!-- Created with a tool (http://tool.example/) -->\n<svg\n>",
        XML + b"<!-- one -->\n<!-- two -- and a half -->" + DOCTYPE + b"<!-- three --><svg>",
        b"<!--" + b"x" * 2_000 + b"--><svg>",
    ],
)
def test_svg_starts_in_many_ways(data: bytes) -> None:
    """Declaration, byte order mark, document type and comments may come before the element."""
    assert NO_SIZE == measure(SVG, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svgx>",
        b"<svg",
        b"<html><svg></svg></html>",
        b"svg",
        b"x<svg>",
        b"<SVG>",
        b"<!-- <svg> ",
        b"<!-- <svg> -->",
        b"<!DOCTYPE html><svg>",
        b"<!DOCTYPE svg [<!ENTITY a 'aaaa'>]><svg>",
        b"<!DOCTYPE svg SYSTEM 'http://host/x.dtd'><svg>",
        b"<!DOCTYPE svg SYSTEM 'file:///etc/passwd'><svg>",
        b"<!DOCTYPE svg SYSTEM \"><svg \" [<!ENTITY a 'aaaa'>]><svg>&a;</svg>",
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "><svg " [<!ENTITY a \'aaaa\'>]><svg>&a;</svg>',
        DOCTYPE[:-2] + b" [<!ENTITY a 'aaaa'>]><svg>",
        DOCTYPE + DOCTYPE + b"<svg>",
        b"<?xml version='1.0' encoding='utf-7'?><svg>",
        b"<?xml version='1.0' encoding='iso-2022-jp'?><!-- \x1b$B--><svg \x1b(B --><!DOCTYPE svg []><svg>",
        b"<?xml-stylesheet href='http://host/x.css'?><svg>",
        b"<?php echo 1 ?><svg>",
        "<svg>".encode("utf-16"),
        b"\0<svg>",
        b"<script>alert(1)</script><svg>",
        b" " * 9_000 + b"<svg>",
        b"\x1f\x8b\x08\x00<svg>",
    ],
)
def test_what_is_no_svg_is_none(data: bytes) -> None:
    """HTML, entities, other encodings, compressed SVG and an element too far in are not taken."""
    assert measure(SVG, data) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"%PDF-1.4\n", NO_SIZE),
        (b"%PDF-1.7\r%\xe2\xe3", NO_SIZE),
        (b"%PDF-2.0\n", NO_SIZE),
        (b"%PDF-3.0\n", None),
        (b"%PDF-", None),
        (b"%PDF", None),
        (b" %PDF-1.4", None),
        (b"%!PS-Adobe-3.0 %PDF-1.4", None),
    ],
)
def test_pdf_by_its_magic(data: bytes, expected: ImageSize | None) -> None:
    """A PDF is known by its first bytes."""
    assert expected == measure(PDF, data)


@pytest.mark.parametrize("media_type", ["", "image/gif", "text/html", "IMAGE/PNG", "image/png; charset=x"])
def test_other_media_types_are_none(media_type: str) -> None:
    """What the protocol does not list is no chart, whatever the bytes are."""
    assert measure(media_type, png_of(3, 3)) is None


def test_every_suffix_has_a_media_type_of_the_protocol() -> None:
    """Saved files become charts of just the media types that may travel."""
    assert set(MEDIA_TYPES) == set(MEDIA_TYPE_BY_SUFFIX.values())


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        (PNG, png_of(3, 3)),
        (JPEG, pillow_image("JPEG")),
        (JPEG, b"\xff\xd8" + frame_header(0xC0, 3, 3)),
        (SVG, b"\xef\xbb\xbf" + XML + DOCTYPE + b"<svg>"),
        (PDF, b"%PDF-1.4\n"),
    ],
)
def test_truncation_never_raises(media_type: str, data: bytes) -> None:
    """The first N bytes of an image, for each N up to 64, are measured or none; 6 or fewer are always none."""
    for size in range(65):
        for piece in (data[:size], memoryview(data)[:size]):
            found = measure(media_type, piece)
            assert found is None or (size > 6 and isinstance(found, ImageSize))


_starts = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff",
        b"\xff\xd8" + segment(0xE0, b"JFIF"),
        b"%PDF-",
        b"<?xml",
        b"<svg",
    ]
)
_pieces = st.lists(
    st.one_of(
        st.binary(max_size=20), st.sampled_from([b"\xff", b"\xff\xc0\0\x11\x08", b"<svg ", b" ", b"-->", b"<!--"])
    ),
    max_size=12,
).map(b"".join)


@given(media_type=st.sampled_from([*MEDIA_TYPES, "image/gif"]), start=_starts, rest=_pieces)
def test_any_bytes_are_measured_or_none(media_type: str, start: bytes, rest: bytes) -> None:
    """Invariant: for any bytes, ``measure`` gives a size within the bounds or None, the same for bytes and a view."""
    found = measure(media_type, start + rest)
    assert found == measure(media_type, memoryview(start + rest))
    if found is not None and found.width_px is not None and found.height_px is not None:
        assert 1 <= found.width_px * found.height_px <= PIXELS_MAX


_UNITS = [b"<!---->", b"<!-- -->\n", b"<!--", b"-->", b" ", b"<!DOCTYPE svg ", b"<?xml ?>", b"<?xml ", b"?>", b"<svg"]
_STARTS = [b"", b"\xef\xbb\xbf", XML, DOCTYPE, b"<!--", b"<!DOCTYPE svg "]


def test_hostile_svg_takes_no_time() -> None:
    """8 KiB made to mislead the pattern cost what 8 KiB cost: the daemon's one thread must not stand still.

    In a process of its own, because a regular expression that backtracks cannot be interrupted. All cases together take
    milliseconds; the bound is for a machine under load.
    """
    program = f"""
from warmfork_daemon.images import measure
for start in {_STARTS!r}:
    for unit in {_UNITS!r}:
        print(start, unit, flush=True)
        assert measure({SVG!r}, (start + unit * 8192)[:8190] + b"x>") is None, (start, unit)
"""
    environment = {"PYTHONPATH": PACKAGE_PATHS, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program]
    try:
        subprocess.run(command, env=environment, timeout=HOSTILE_DEADLINE_S, check=True, stdout=subprocess.PIPE)
    except subprocess.TimeoutExpired as late:
        last = (late.stdout or b"").decode().splitlines()[-1:]
        pytest.fail(f"measure() is not back after {HOSTILE_DEADLINE_S:g} s; start and repeated unit: {last}")


def test_the_suffixes_are_lower_case() -> None:
    """The table is looked up with lower-case suffixes, so its own must be."""
    assert [] == [suffix for suffix in MEDIA_TYPE_BY_SUFFIX if not re.fullmatch(r"\.[a-z]+", suffix)]

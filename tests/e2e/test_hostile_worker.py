"""A worker that lies, floods or dies on its result pipe costs its own job and nothing else.

The job writes to the worker's channel itself, so what the daemon reads is whatever the test likes.
"""

from __future__ import annotations

import struct
import zlib

import pytest

from warmfork import Client

# What an attack may use: ``fd`` is the channel, ``frames`` packs a message, ``send`` writes all of it, ``report`` makes
# the frames of a report from its header's fields, parts as (what the header says, bytes).
TOOLS = """\
import os, stat, struct
from warmfork.wire.codec import pack
def _is_channel(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
fd = next(filter(_is_channel, range(3, 1024)))
def frames(*parts):
    return b'WFK1' + struct.pack('>I', len(parts)) + struct.pack(f'>{len(parts)}Q', *map(len, parts)) + b''.join(parts)
def send(data):
    os.set_blocking(fd, True)
    data = memoryview(data)
    while data:
        data = data[os.write(fd, data):]
def report(*parts, **header):
    header = {'v': 1, 'type': 'report', 'outcome': 'ok', 'parts': [told for told, _ in parts], **header}
    return frames(pack(header), *(data for _, data in parts))
def chart(data=b'', **told):
    return ({'kind': 'chart', 'media_type': 'image/png', 'width_px': 1, 'height_px': 1, **told}, data)
"""

UNREADABLE = {
    "garbage": "send(b'hello daemon')",
    "garbage then exit": "send(os.urandom(100)); os._exit(0)",
    "a size of 2**63": "send(b'WFK1' + struct.pack('>IQ', 1, 1 << 63))",
    "sizes that overflow when added": "send(b'WFK1' + struct.pack('>I4Q', 4, *[1 << 62] * 4))",
    "no frame": "send(b'WFK1' + struct.pack('>I', 0))",
    "4 billion frames": "send(b'WFK1' + struct.pack('>I', 0xFFFFFFFF))",
    "over the reply's bound": "send(b'WFK1' + struct.pack('>I5Q', 5, 100, *[17 << 20] * 4))",
    "not msgpack": "send(frames(b'\\xc1'))",
    "empty header": "send(frames(b''))",
    "header is a list": "send(frames(pack([1, 2])))",
    "header is a number": "send(frames(pack(1)))",
    "two values in the header": "send(frames(pack({'v': 1}) * 2))",
    "wrong type": "send(report(type='execute'))",
    "type is a list": "send(report(type=['report']))",
    "wrong version": "send(report(v=9))",
    "version is true": "send(report(v=True))",
    "unknown outcome": "send(report(outcome='lost'))",
    "outcome is a map": "send(report(outcome={'ok': 1}))",
    "deep nesting": "send(frames(b'\\x91' * 5000 + b'\\xc0'))",
    "nesting bomb of maps": "send(frames(b'\\x81\\xa1a' * 900 + b'\\xc0'))",
    "an array that says 4 billion": "send(frames(b'\\xdd\\xff\\xff\\xff\\xff'))",
    "arrays in arrays that say 8,192 each": "send(frames(b'\\xdd\\x00\\x00\\x20\\x00' * 1000))",
    "a text that says 4 GB": "send(frames(b'\\xdb\\xff\\xff\\xff\\xff'))",
    "an extension": "send(frames(b'\\x81\\xa1v\\xd4\\x01\\x00'))",
    "a timestamp": "send(frames(pack({'v': 1, 'type': 'report', 'outcome': 0})[:-1] + b'\\xd6\\xff\\0\\0\\0\\1'))",
    "a map with a map as its key": "send(frames(pack({'v': 1, 'type': 'report', 'outcome': 'ok', 'times_s': 0})[:-1]"
    " + b'\\x81\\x80\\x01'))",
    "an error of nothing": "send(report(outcome='error', error={}))",
    "integer keys": "send(frames(b'\\x81\\x01\\x02'))",
    "byte keys": "send(frames(b'\\x81\\xc4\\x01v\\x01'))",
    "text that is not UTF-8": "send(frames(b'\\x81\\xa1v\\xa2\\xff\\xfe'))",
    "a header over its half": "send(report(**{f'x{n}': 'y' * 200_000 for n in range(4)}))",
    "a part too few": "send(frames(pack({'v': 1, 'type': 'report', 'outcome': 'ok', 'parts': []}), b'extra'))",
    "a part too many": "send(report(parts=[chart()[0]]))",
    "a part that is no map": "send(report(('part', b'')))",
    "a part without a kind": "send(report(({}, b'')))",
    "9,000 parts": "send(report(parts=[1] * 9_000))",
    "parts are a map": "send(report(parts={}))",
    "chart named outside": "send(report(chart(file_name='../../key')))",
    "chart named absolutely": "send(report(chart(file_name='/etc/passwd')))",
    "chart named with NUL": "send(report(chart(file_name='a\\0b')))",
    "chart of a name too long": "send(report(chart(file_name='n' * 300)))",
    "chart of another media type": "send(report(chart(media_type='text/html')))",
    "chart of a negative width": "send(report(chart(width_px=-1)))",
    "chart of a NaN width": "send(report(chart(width_px=float('nan'))))",
    "chart of a width of 2**64 - 1": "send(report(chart(width_px=(1 << 64) - 1)))",
    "chart of a true width": "send(report(chart(width_px=True)))",
    "chart with bytes as its title": "send(report(chart(title=b'bytes')))",
    "chart with a title of 501": "send(report(chart(title='t' * 501)))",
    "chart of a negative figure": "send(report(chart(figure_number=-1)))",
    "error is a text": "send(report(outcome='error', error='text'))",
    "error without a type": "send(report(outcome='error', error={'message': 'm'}))",
    "error of an endless type": "send(report(outcome='error', error={'type': 't' * 501, 'message': 'm'}))",
    "error of an endless message": "send(report(outcome='error', error={'type': 't', 'message': 'm' * 70_000}))",
    "error in a negative line": "send(report(outcome='error', error={'type': 't', 'message': 'm', 'line': -1}))",
    "exit code of 2**40": "send(report(exit_code=1 << 40))",
    "exit code is infinite": "send(report(exit_code=float('inf')))",
    "a negative number of dropped charts": "send(report(charts_dropped=-1))",
    "flood": "os.write(fd, b'WFK1' + struct.pack('>IQ', 1, 1000))\n"
    "try:\n    while True: os.write(fd, bytes(65536))\nexcept OSError: pass",
}

WITHOUT_REPORT = {
    "early close": "os.close(fd); os._exit(0)",
    "half a frame": "send(frames(b'x' * 1000)[:500]); os._exit(0)",
    "half a prefix": "send(b'WFK1\\0'); os._exit(0)",
    "one byte": "send(b'W'); os._exit(0)",
    "half closed": "import socket; socket.socket(fileno=fd).shutdown(socket.SHUT_WR); os._exit(0)",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_report_that_cannot_be_read(client: Client, name: str) -> None:
    """Lengths, nesting, types, floods: the job is ``crashed`` by its bad report, and the next one gets its answer."""
    result = client.execute(TOOLS + UNREADABLE[name], policy="off", timeout_s=20)
    assert result.error is not None
    assert ("crashed", "BadReport") == (result.verdict, result.error.type), result.stderr
    assert len(result.error.message) < 1_000
    assert "2\n" == client.execute("print(1 + 1)").stdout


@pytest.mark.parametrize("name", WITHOUT_REPORT)
def test_a_report_that_does_not_come(client: Client, name: str) -> None:
    """A channel closed early, or in the middle of a report: the verdict is of the exit, and the next job is answered."""
    result = client.execute(TOOLS + WITHOUT_REPORT[name], policy="off", timeout_s=20)
    assert result.error is not None
    assert ("crashed", "WorkerExited") == (result.verdict, result.error.type), result.stderr
    assert "2\n" == client.execute("print(1 + 1)").stdout


@pytest.mark.parametrize(
    ("attack", "verdict"),
    [
        ("send(report(unknown=[1, {'x': 2}], v2={'y': None}))", "ok"),
        ("send(report(({'kind': 'novel', 'x': 1}, b'bytes'), ({'kind': 'file', 'name': 'f'}, b'planted')))", "ok"),
        # One map, the key twice: the last one counts, in this one decoder.
        ("send(frames(b'\\x85' + b''.join(map(pack, ('v', 1, 'type', 'report', 'parts', [], 'outcome', 'ok',"
         " 'outcome', 'error')))))", "error"),
        ("send(report(outcome='error'))", "error"),
        ("send(frames(pack({'v': 1, 'type': 'report', 'outcome': 'ok', 'x': 0})[:-1] + b'\\xd6\\xff\\0\\0\\0\\1'))", "ok"),
        ("send(frames(pack({'v': 1, 'type': 'report', 'outcome': 'ok', 'times_s': 0})[:-1] + b'\\xd6\\xff\\0\\0\\0\\1'))", "ok"),
        ("send(report(outcome='ok', error={'type': 'T', 'message': 'm'}))", "ok"),
        ("send(report(outcome='memory_limit', error={'type': 'T', 'message': 'm' * 60_000, 'line': 1 << 31}))",
         "memory_limit"),
        ("for byte in report(): send(bytes([byte]))", "ok"),
        ("send(report(*[({'kind': 'x'}, b'')] * 2_000))", "ok"),
    ],
)  # fmt: skip
def test_a_strange_report_is_read_by_its_known_fields(client: Client, attack: str, verdict: str) -> None:
    """Unknown fields and kinds are ignored, missing ones have defaults; nothing of it becomes a file or chart."""
    result = client.execute(TOOLS + attack, policy="off", timeout_s=20)
    assert (verdict, (), {}) == (result.verdict, result.charts, dict(result.files)), result.error
    assert (verdict == "ok") == (result.error is None)


@pytest.mark.parametrize(
    "times",
    ["[0.0] * 4", "[1e11] * 4", "[float('nan')] * 4", "[time.monotonic() + 1] * 4", "[9.0, 8.0, 7.0, 6.0]", "'x'"],
)
def test_forged_times_move_nothing(client: Client, times: str) -> None:
    """Times that cannot be are dropped: the job's whole time is execution, as the daemon's clock saw it."""
    result = client.execute(TOOLS + f"import time\nsend(report(times_s={times}))", policy="off")
    phases = result.usage.phases
    assert ("ok", result.usage.wall_s) == (result.verdict, phases.executed_s)
    assert 0.0 == phases.dispatched_s + phases.compiled_s + phases.rendered_s + phases.reported_s


def test_the_first_frame_counts(client: Client) -> None:
    """A forged report ends the job with its word; a second frame, and whatever follows it, is never read."""
    code = TOOLS + "send(report(outcome='ok') + report(outcome='error') + b'tail')"
    result = client.execute(code, policy="off")
    assert ("ok", ()) == (result.verdict, result.charts)


def png_of(width_px: int, height_px: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header says this size, with these chunks behind the header; its pixels are not there."""
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    whole = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    pieces = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in whole
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def jpeg_of(width_px: int, height_px: int) -> bytes:
    return b"\xff\xd8" + struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, height_px, width_px, 3) + b"\x01\x11\x00" * 3


FORGED = {
    "not a png": ("image/png", b"no png"),
    "empty": ("image/png", b""),
    "html as png": ("image/png", b"<html><script>alert(1)</script></html>".ljust(100)),
    "png of 65535 x 65535": ("image/png", png_of(65_535, 65_535)),
    "png of 2**32 - 1": ("image/png", png_of((1 << 32) - 1, 1)),
    "png of width 0": ("image/png", png_of(0, 10)),
    "png of height 0": ("image/png", png_of(10, 0)),
    "png cut in its header": ("image/png", png_of(8, 8)[:30]),
    "png whose first chunk is another": ("image/png", png_of(8, 8).replace(b"IHDR", b"tEXt")),
    "jpeg as png": ("image/png", jpeg_of(8, 8).ljust(100)),
    "png as jpeg": ("image/jpeg", png_of(8, 8)),
    "jpeg of 60000 x 60000": ("image/jpeg", jpeg_of(60_000, 60_000)),
    "jpeg of height 0": ("image/jpeg", jpeg_of(8, 0)),
    "jpeg of markers alone": ("image/jpeg", b"\xff\xd8" + b"\xff\xe0\x00\x02" * 5_000),
    "svg with entities": ("image/svg+xml", b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>'),
    "svg with entities behind a quoted root": (
        "image/svg+xml",
        b'<!DOCTYPE svg SYSTEM "><svg " [<!ENTITY a "aaaa">]><svg>&a;</svg>',
    ),
    "html as svg": ("image/svg+xml", b"<html><svg></svg></html>"),
    "executable as pdf": ("application/pdf", b"\x7fELF" + bytes(100)),
    "late pdf": ("application/pdf", b"\n%PDF-1.7"),
    "png over the size of a chart": ("image/png", png_of(8, 8, (b"IDAT", bytes(17 << 20)))),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_chart_must_look_like_one(client: Client, name: str) -> None:
    """Bytes that are not of their media type, or of absurd size, are dropped and counted; an honest chart beside comes."""
    media_type, data = FORGED[name]
    code = TOOLS + "send(report(chart(forged, media_type=media_type), chart(honest, title='honest')))"
    variables = {"forged": data, "media_type": media_type, "honest": png_of(8, 8)}
    result = client.execute(code, policy="off", variables=variables)
    assert ("ok", ["honest"], 1) == (result.verdict, [chart.title for chart in result.charts], result.dropped.charts)


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/svg+xml", b"<svg onload='alert(1)'><script>alert(1)</script></svg>"),
        ("application/pdf", b"%PDF-1.7\n/OpenAction /JavaScript"),
        ("image/png", png_of(8, 8, (b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 20))))),
        ("image/png", png_of(8, 8, (b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20))))),
    ],
)
def test_what_a_chart_holds_is_the_job_s_word(client: Client, media_type: str, data: bytes) -> None:
    """Scripts and odd chunks are neither run, nor unpacked, nor taken out: they come back signed, byte for byte."""
    code = TOOLS + "send(report(chart(data, media_type=media_type)))"
    result = client.execute(code, policy="off", variables={"data": data, "media_type": media_type})
    assert [(media_type, data)] == [(chart.media_type, chart.data) for chart in result.charts]


def test_the_daemon_reads_sizes_itself(client: Client) -> None:
    """Width and height of a PNG are what its header says, whatever the report does."""
    code = TOOLS + "send(report(chart(png, width_px=60_000, height_px=1)))"
    (chart,) = client.execute(code, policy="off", variables={"png": png_of(8, 9)}).charts
    assert (8, 9) == (chart.width_px, chart.height_px)


def test_charts_beyond_their_number_are_counted(client: Client) -> None:
    """Of 60 forged charts 50 come, and the count is honest."""
    result = client.execute(TOOLS + "send(report(*[chart(png)] * 60))", policy="off", variables={"png": png_of(8, 8)})
    assert ("ok", 50, 10) == (result.verdict, len(result.charts), result.dropped.charts)


def test_charts_beyond_the_reply_are_dropped(client: Client) -> None:
    """Rendered and saved charts together stay within the reply's bound; what is over it is counted."""
    code = (
        TOOLS + "open('a.png', 'wb').write(png.ljust(15 << 20))\nopen('b.bin', 'wb').write(bytes(14 << 20))\n"
        "send(report(*[chart(png.ljust(15 << 20))] * 4))"
    )
    result = client.execute(code, policy="off", variables={"png": png_of(8, 8)}, timeout_s=60)
    sizes = [len(chart.data) for chart in result.charts] + [len(data) for data in result.files.values()]
    assert "ok" == result.verdict
    assert sum(sizes) <= 64 << 20
    assert 6 == len(sizes) + result.dropped.charts + result.dropped.files


@pytest.mark.parametrize("name", ["missing.png", "link.png", "sub", "a.txt"])
def test_a_file_that_is_no_chart_cannot_be_claimed(client: Client, name: str) -> None:
    """A report that names a missing file, a directory, or no image, gets no chart for it and harms nothing."""
    code = TOOLS + "os.mkdir('sub'); open('a.txt', 'w').close()\nsend(report(*[chart(file_name=name)] * 500))"
    result = client.execute(code, policy="off", variables={"name": name})
    assert ("ok", (), ["a.txt"]) == (result.verdict, result.charts, list(result.files))


def test_a_file_claimed_often_comes_once(client: Client) -> None:
    """A saved chart that the report names 500 times is one chart."""
    code = TOOLS + "open('a.png', 'wb').write(png)\nsend(report(*[chart(file_name='a.png')] * 500))"
    result = client.execute(code, policy="off", variables={"png": png_of(8, 8)})
    assert (["a.png"], 0) == ([chart.file_name for chart in result.charts], result.dropped.charts)


STEERING = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\u2066\x00\r\n\ufeff\U000e0041"


def test_texts_of_a_report_are_data(client: Client) -> None:
    """Control characters in title, error type and message arrive as they were reported: text, and nothing but text."""
    code = TOOLS + (
        "send(report(chart(png, title=text), outcome='error',"
        " error={'type': text, 'message': text, 'traceback': text, 'line': 3}))"
    )
    result = client.execute(code, policy="off", variables={"png": png_of(8, 8), "text": STEERING})
    assert result.error is not None
    expected = ("error", STEERING, STEERING, STEERING)
    assert expected == (result.verdict, result.charts[0].title, result.error.type, result.error.message)


def test_printed_escapes_are_data(client: Client) -> None:
    """What a job prints is delivered unchanged, terminal escapes and all."""
    result = client.execute(f"import sys; print({STEERING!r}); print({STEERING!r}, file=sys.stderr)")
    assert (STEERING + "\n", STEERING + "\n") == (result.stdout, result.stderr)


@pytest.mark.parametrize("title", ["'x' * 5000", "'a\\x1b[31m' * 200", "'\\udc80 lone'", "'\\u202e' * 600"])
def test_titles_of_figures_are_bounded_text(client: Client, title: str) -> None:
    """A title that the code sets, however long or odd, arrives as at most 500 characters, or as the job's own error."""
    result = client.execute(f"plt.plot([1]); plt.title({title})")
    assert result.verdict in ("ok", "error")
    assert all(len(chart.title) <= 500 for chart in result.charts)


def test_a_reply_always_fits_its_header(client: Client) -> None:
    """The longest names, titles and messages at once cannot make a reply that the daemon is unable to send."""
    code = TOOLS + (
        "base = '/'.join(letter * 255 for letter in 'abc'); os.makedirs(base)\n"
        "for number in range(1024): open(f'{base}/{number:04}' + 'n' * 251, 'w').close()\n"
        "for number in range(60): open(f'{number:04}' + 'n' * 240 + '.svg', 'w').write('<svg>')\n"
        "wide = '\\U0001F600'\n"
        "send(report(*[chart(png, title=wide * 500)] * 60, outcome='error',"
        " error={'type': wide * 500, 'message': wide * 60_000, 'traceback': ''}))"
    )
    result = client.execute(code, policy="off", variables={"png": png_of(8, 8)}, timeout_s=60)
    assert ("error", 50) == (result.verdict, len(result.charts))
    assert "2\n" == client.execute("print(1 + 1)").stdout


def test_names_alone_cannot_break_a_reply(client: Client) -> None:
    """A thousand files of the longest paths and an endless exception, by plain code: the job's verdict is its own."""
    code = (
        "import os\nbase = '/'.join(letter * 255 for letter in 'abc'); os.makedirs(base)\n"
        "for number in range(1024): open(f'{base}/{number:04}' + 'n' * 251, 'w').close()\n"
        "raise ValueError('\\U0001F600' * 70_000)"
    )
    result = client.execute(code, policy="off", timeout_s=60)
    assert "error" == result.verdict
    assert 1_024 == len(result.files) + result.dropped.files
    assert "2\n" == client.execute("print(1 + 1)").stdout

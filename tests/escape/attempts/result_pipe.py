"""Lies on the result pipe: what a job writes there itself, in place of the worker's report."""

# ruff: noqa: E501  (code of jobs, one act a line)

from __future__ import annotations

from typing import Final

from tests.escape.record import Attempt

_PARSER: Final = (
    "the defence is the daemon's parser, which no mode switches off; the verdict shows that the bytes arrive"
)
_FIND: Final = (
    "import stat, struct\nfrom warmfork.wire.codec import pack\n"
    "fd = next(f for f in range(3, 256) if call('fstat', f, ctypes.create_string_buffer(256)) == 0 and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
    "def frames(*parts):\n"
    "    return b'WFK1' + struct.pack('>I', len(parts)) + struct.pack(f'>{len(parts)}Q', *map(len, parts)) + b''.join(parts)\n"
    "def report(parts=(), blobs=(), **more):\n"
    "    return frames(pack({'v': 1, 'type': 'report', 'parts': list(parts), 'outcome': 'ok', **more}), *blobs)\n"
    "def chart(**more):\n"
    "    return {'kind': 'chart', 'media_type': 'image/png', 'width_px': 1, 'height_px': 1, **more}\n"
    "def send(data):\n"
    "    view = memoryview(data)\n"
    "    while len(view): view = view[os.write(fd, view):]\n"
)


def _lie(id: str, tries: str, code: str, *verdicts: str, timeout_s: float = 20.0) -> Attempt:
    return Attempt(id, tries, _FIND + code, verdicts=verdicts, control=_PARSER, options={"timeout_s": timeout_s})


ATTEMPTS = (
    _lie("pipe-garbage", "writes garbage", "send(b'hello daemon')", "crashed"),
    _lie("pipe-early-close", "closes the pipe and goes", "os.close(fd)\nos._exit(0)", "crashed"),
    _lie("pipe-half", "writes half a report and goes", "send(report()[:20])\nos._exit(0)", "crashed"),
    _lie(
        "pipe-half-and-wait",
        "writes half a report and waits",
        "import time\nsend(report()[:20])\ntime.sleep(30)",
        "timeout",
        timeout_s=0.4,
    ),
    _lie(
        "pipe-drip",
        "writes a report byte by byte, for ever",
        "import time\nsend(b'WFK1' + struct.pack('>IQ', 1, 10_000))\nwhile True:\n    send(b'x')\n    time.sleep(0.01)",
        "timeout",
        timeout_s=0.4,
    ),
    _lie("pipe-size", "announces 2**63 bytes", "send(b'WFK1' + struct.pack('>IQ', 1, 1 << 63))", "crashed"),
    _lie(
        "pipe-size-wraps",
        "announces sizes whose sum wraps",
        "send(b'WFK1' + struct.pack('>IQQ', 2, (1 << 64) - 1, 2))",
        "crashed",
    ),
    _lie("pipe-count", "announces four billion frames", "send(b'WFK1' + struct.pack('>I', 0xFFFFFFFF))", "crashed"),
    _lie("pipe-no-frames", "announces none", "send(b'WFK1' + struct.pack('>I', 0))", "crashed"),
    _lie("pipe-nesting", "nests arrays deeply", "send(frames(b'\\x91' * 100_000 + b'\\xc0'))", "crashed"),
    _lie(
        "pipe-nested-maps",
        "nests maps deeply in a field",
        "deep = b'\\x81\\xa1a' * 5000 + b'\\xc0'\nsend(frames(b'\\x82\\xa1v\\x01\\xa4type' + deep))",
        "crashed",
    ),
    _lie(
        "pipe-map-length",
        "announces a map of four billion entries",
        "send(frames(b'\\xdf\\xff\\xff\\xff\\xff'))",
        "crashed",
    ),
    _lie(
        "pipe-text-length",
        "announces a text of four billion bytes",
        "send(frames(b'\\xdb\\xff\\xff\\xff\\xff'))",
        "crashed",
    ),
    _lie("pipe-extension", "sends an extension type", "send(frames(b'\\xd4\\x05x'))", "crashed"),
    _lie(
        "pipe-timestamp",
        "sends a timestamp of the year 292 billion",
        "send(frames(b'\\xc7\\x0c\\xff' + b'\\xff' * 12))",
        "crashed",
    ),
    _lie("pipe-pickle", "sends a pickle", "import pickle\nsend(frames(pickle.dumps({'v': 1})))", "crashed"),
    _lie(
        "pipe-wrong-type",
        "sends a request in place of a report",
        "send(frames(pack({'v': 1, 'type': 'execute', 'parts': []})))",
        "crashed",
    ),
    _lie("pipe-wrong-version", "sends another version", "send(report(v=9))", "crashed"),
    _lie("pipe-lost", "says that it was lost, so that it is run again", "send(report(outcome='lost'))", "crashed"),
    _lie("pipe-number-for-word", "sends a number where a word is expected", "send(report(outcome=7))", "crashed"),
    _lie("pipe-exit-code", "sends an exit code of 64 bits", "send(report(exit_code=1 << 63))", "crashed"),
    _lie(
        "pipe-duplicate-keys",
        "gives a key twice",
        "send(frames(b'\\x84\\xa1v\\x01\\xa4type\\xa6report\\xa5parts\\x90\\xa5parts\\x91\\xc0'))",
        "crashed",
    ),
    _lie("pipe-many-charts", "sends 5,000 charts", "send(report([chart()] * 5000, [b''] * 5000))", "crashed"),
    _lie("pipe-missing-blob", "announces a chart and sends none", "send(report([chart()]))", "crashed"),
    _lie(
        "pipe-file-outside",
        "names the daemon's key as its chart",
        "send(report([chart(file_name='../../key')], [b'']))",
        "crashed",
    ),
    _lie(
        "pipe-file-absolute",
        "names a file by its absolute path",
        "send(report([chart(file_name=CANARY)], [b'']))",
        "crashed",
    ),
    _lie(
        "pipe-file-missing",
        "names a file that is not there",
        "send(report([chart(file_name='none.png')], [b'']))",
        "ok",
    ),
    _lie(
        "pipe-file-is-fifo",
        "names a FIFO as its chart",
        "call('mknod', b'pipe.png', 0o010600, 0)\nsend(report([chart(file_name='pipe.png')], [b'']))",
        "ok",
    ),
    _lie(
        "pipe-file-is-link",
        "names a link to a file outside as its chart",
        "call('symlink', canary, b'link.png')\nsend(report([chart(file_name='link.png')], [b'']))",
        "ok",
    ),
    _lie("pipe-not-an-image", "calls text a PNG", "send(report([chart()], [b'no png']))", "ok"),
    _lie(
        "pipe-image-bomb",
        "sends a PNG of 60,000 x 60,000",
        "send(report([chart()], [b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR' + struct.pack('>II', 60000, 60000) + bytes(80)]))",
        "ok",
    ),
    _lie(
        "pipe-title",
        "gives a chart a title of terminal escapes",
        "send(report([chart(title='\\x1b]0;x\\x07\\x1b[2J\\u202e')], [b'no png']))",
        "ok",
        "crashed",
    ),
    _lie(
        "pipe-long-title",
        "gives a chart a title of 1 MiB",
        "send(report([chart(title='x' * (1 << 20))], [b'no png']))",
        "crashed",
    ),
    _lie(
        "pipe-error-escapes",
        "reports an error full of terminal escapes",
        "send(report(outcome='error', error={'type': '\\x1b[2J', 'message': '\\x1b]52;c;eA==\\x07', 'line': 1, 'traceback': ''}))",
        "error",
        "crashed",
    ),
    _lie("pipe-two-reports", "sends a second report", "send(report() + report(outcome='error'))", "ok"),
    _lie("pipe-tail", "sends more bytes after the report", "send(report() + b'tail' * 100)", "ok"),
    _lie(
        "pipe-flood",
        "sends bytes for ever within a report",
        "send(b'WFK1' + struct.pack('>IQ', 1, 1000))\ntry:\n    while True: send(bytes(65536))\nexcept OSError: pass",
        "crashed",
    ),
    _lie(
        "pipe-flood-after",
        "sends bytes for ever after its report",
        "send(report())\ntry:\n    while True: send(bytes(65536))\nexcept OSError: pass",
        "ok",
    ),
    _lie("pipe-stay", "reports and stays to work on", "send(report())\nwhile True: pass", "ok"),
    _lie(
        "pipe-zero-byte-parts",
        "sends a hundred empty parts of no known kind",
        "send(report([{'kind': 'x'}] * 100, [b''] * 100))",
        "ok",
        "crashed",
    ),
)

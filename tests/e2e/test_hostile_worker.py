"""A worker that lies, floods or dies on its result pipe costs its own job and nothing else."""

from __future__ import annotations

import pytest

from warmfork import Client

FIND = (
    "import os, stat, struct, socket\n"
    "fd = next(f for f in range(3, 64) if os.path.exists(f'/proc/self/fd/{f}') and stat.S_ISSOCK(os.fstat(f).st_mode))\n"
    "def frames(*parts):\n"
    "    return b'WFK1' + struct.pack('>I', len(parts)) + struct.pack(f'>{len(parts)}Q', *map(len, parts)) + b''.join(parts)\n"
)
PACK = "from warmfork.wire.codec import pack\n"

ATTACKS = {
    "garbage": ("os.write(fd, b'hello daemon')", "crashed"),
    "garbage then exit": ("os.write(fd, os.urandom(100)); os._exit(0)", "crashed"),
    "early close": ("os.close(fd); os._exit(0)", "crashed"),
    "half a frame": ("os.write(fd, frames(b'x' * 1000)[:500]); os._exit(0)", "crashed"),
    "a size of 2**63": ("os.write(fd, b'WFK1' + struct.pack('>IQ', 1, 1 << 63))", "crashed"),
    "4 billion frames": ("os.write(fd, b'WFK1' + struct.pack('>I', 0xFFFFFFFF))", "crashed"),
    "not msgpack": ("os.write(fd, frames(b'\\xc1'))", "crashed"),
    "wrong type": (PACK + "os.write(fd, frames(pack({'v': 1, 'type': 'execute', 'parts': []})))", "crashed"),
    "wrong version": (PACK + "os.write(fd, frames(pack({'v': 9, 'type': 'report', 'parts': []})))", "crashed"),
    "unknown outcome": (
        PACK + "os.write(fd, frames(pack({'v': 1, 'type': 'report', 'parts': [], 'outcome': 'lost'})))",
        "crashed",
    ),
    "deep nesting": ("os.write(fd, frames(b'\\x91' * 5000 + b'\\xc0'))", "crashed"),
    "chart named outside": (
        PACK
        + "part = {'kind': 'chart', 'media_type': 'image/png', 'width_px': 1, 'height_px': 1, 'file_name': '../../key'}\n"
        "os.write(fd, frames(pack({'v': 1, 'type': 'report', 'parts': [part], 'outcome': 'ok'}), b''))",
        "crashed",
    ),
    "flood": (
        "os.write(fd, b'WFK1' + struct.pack('>IQ', 1, 1000))\n"
        "try:\n    while True: os.write(fd, bytes(65536))\nexcept OSError: pass",
        "crashed",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_on_the_result_pipe(client: Client, name: str) -> None:
    """The job that attacks gets its verdict, and the next one its answer."""
    attack, verdict = ATTACKS[name]
    result = client.execute(FIND + attack, policy="off", timeout_s=20)
    assert verdict == result.verdict, result.stderr
    assert result.error is not None
    assert result.error.message
    assert "2\n" == client.execute("print(1 + 1)").stdout


def test_the_first_frame_counts(client: Client) -> None:
    """A forged report ends the job with its word; a second frame, and whatever follows it, is never read."""
    code = (
        FIND + PACK + "one = frames(pack({'v': 1, 'type': 'report', 'parts': [], 'outcome': 'ok'}))\n"
        "two = frames(pack({'v': 1, 'type': 'report', 'parts': [], 'outcome': 'error'}))\nos.write(fd, one + two + b'tail')"
    )
    result = client.execute(code, policy="off")
    assert ("ok", ()) == (result.verdict, result.charts)


def test_a_forged_chart_must_look_like_one(client: Client) -> None:
    """Bytes that are not of their media type, or an image of absurd size, are dropped and counted."""
    code = (
        FIND + PACK + "part = {'kind': 'chart', 'media_type': 'image/png', 'width_px': 1, 'height_px': 1}\n"
        "bomb = b'\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR' + struct.pack('>II', 60000, 60000) + bytes(80)\n"
        "os.write(fd, frames(pack({'v': 1, 'type': 'report', 'parts': [part, part], 'outcome': 'ok'}), b'no png', bomb))"
    )
    result = client.execute(code, policy="off")
    assert ((), 2) == (result.charts, result.dropped.charts)


def test_titles_are_data(client: Client) -> None:
    """A title with control characters, lone surrogates or absurd length arrives as bounded text."""
    result = client.execute("plt.plot([1]); plt.title('a\\x1b[31m\\udc80' + 'x' * 5000)")
    if result.charts:
        assert len(result.charts[0].title) <= 500
    assert result.verdict in ("ok", "error")

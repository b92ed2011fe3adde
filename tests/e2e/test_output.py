"""Output is read while the job runs, bounded, and what fell out is counted."""

from __future__ import annotations

from warmfork import Client


def test_output_is_bounded_with_head_and_tail(client: Client) -> None:
    """Beyond the bound, head and tail are kept and the bytes between them are counted, in the text too."""
    result = client.execute("print('first')\nfor i in range(200_000): print('0123456789')\nprint('last')")
    written = len("first\nlast\n") + 200_000 * 11
    assert result.ok
    assert result.stdout.startswith("first\n")
    assert result.stdout.endswith("last\n")
    assert written - 256 * 1024 == result.dropped.stdout_bytes
    assert f"[{result.dropped.stdout_bytes} bytes dropped]" in result.stdout
    assert 0 == result.dropped.stderr_bytes


def test_a_flood_costs_its_own_job_only(client: Client) -> None:
    """A job that floods both streams is cut, counted and timed out."""
    code = "import os\nwhile True:\n    os.write(1, b'x' * 65536)\n    os.write(2, b'y' * 65536)"
    result = client.execute(code, timeout_s=1, policy="off")
    assert "timeout" == result.verdict
    assert result.dropped.stdout_bytes > 0
    assert result.dropped.stderr_bytes > 0
    assert len(result.stdout) < 300_000


def test_bytes_that_are_not_text_arrive_replaced(client: Client) -> None:
    """Bytes that are not UTF-8 come as replacement characters; terminal escapes come as data."""
    result = client.execute("import sys\nsys.stdout.buffer.write(b'\\xff\\x1b[31mred')\nprint('\\udc80')")
    assert "�\x1b[31mred\\udc80\n" == result.stdout


def test_stderr_is_apart(client: Client) -> None:
    """stderr does not mix with stdout."""
    result = client.execute("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert ("out\n", "err\n") == (result.stdout, result.stderr)


def test_output_of_a_closed_stream_is_no_failure(client: Client) -> None:
    """Code that closes its own stdout still ends well."""
    assert "ok" == client.execute("import sys\nprint('x')\nsys.stdout.close()").verdict

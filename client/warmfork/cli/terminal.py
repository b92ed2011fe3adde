"""Writing text that a job made: raw into a pipe or file, harmless onto a terminal."""

from __future__ import annotations

import os
import re
import sys
from typing import Final, TextIO

# Controls but newline and tab (C0, DEL, C1), and the characters that reorder or break a line unseen.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def harmless(text: str) -> str:
    """``text`` with every character that could steer a terminal written out as an escape such as ``\\x1b``."""
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """``text`` in one line, harmless."""
    return harmless(" ".join(text.split()))


def write_job_text(text: str, stream: TextIO) -> None:
    """Write what a job printed: its exact characters as UTF-8, or harmless ones where ``stream`` is a terminal."""
    if not text:
        return
    if stream.isatty():
        encoding = stream.encoding or "utf-8"
        stream.write(harmless(text).encode(encoding, "backslashreplace").decode(encoding))
        if not text.endswith("\n"):
            stream.write("\n")
        stream.flush()
        return
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "backslashreplace"))
    stream.buffer.flush()


def say(text: str) -> None:
    """One line of the command's own to stderr."""
    encoding = sys.stderr.encoding or "utf-8"
    line = f"warmfork: {one_line(text)}\n"
    sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()


def forget_stdout() -> None:
    """After a broken pipe: let what is still buffered go nowhere, or the interpreter complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\\r" if code == 0x0D else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

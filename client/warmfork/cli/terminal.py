"""Writing text that a job made: its exact characters into a pipe or file, harmless ones onto a terminal.

Into a pipe nothing is changed, because what reads there is a program that wants the data; each stream is asked by itself, so
``warmfork run x.py | less -R`` shows what the job wants shown. What the command says in words of its own (error
messages, names of saved files, the status) is harmless everywhere.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Final, TextIO

_LINE_CHARS_MAX: Final = 4_000

# Controls but newline and tab (C0, DEL, C1), the characters that reorder or break a line unseen, and those that hide
# text altogether (deprecated formatting, annotations, tags).
_STEERING: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_UNSAFE: Final = re.compile(f"[{_STEERING}]")
_UNSAFE_IN_A_NAME: Final = re.compile(rf"[\t\n/\\{_STEERING}]")


def harmless(text: str) -> str:
    """``text`` with every character that could steer a terminal written out as an escape such as ``\\x1b``."""
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """``text`` in one line, harmless."""
    return harmless(" ".join(text.split()))


def harmless_name(name: str) -> str:
    """One component of a path that a job chose, as it may stand in a directory of ours; empty if nothing is left.

    Characters that steer become ``_``. Leading dots go, or a job could leave ``.git/commondir`` or ``.envrc`` for a
    program that trusts what it finds.
    """
    return _UNSAFE_IN_A_NAME.sub("_", name).lstrip(".")


def write_job_text(text: str, stream: TextIO) -> None:
    """Write what a job printed: its exact characters as UTF-8, or harmless ones where ``stream`` is a terminal."""
    if not text:
        return
    if stream.isatty():
        write_shown(harmless(text) + ("" if text.endswith("\n") else "\n"), stream)
    else:
        write_exactly(text, stream)


def write_shown(text: str, stream: TextIO) -> None:
    """Write text that was made harmless; what the terminal's encoding does not have becomes an escape."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def write_exactly(text: str, stream: TextIO) -> None:
    """Write text for a program that reads it: its characters as UTF-8, whatever the locale."""
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "backslashreplace"))
    stream.buffer.flush()


def say(text: str) -> None:
    """One line of the command's own to stderr."""
    encoding = sys.stderr.encoding or "utf-8"
    shown = one_line(text)
    if len(shown) > _LINE_CHARS_MAX:
        shown = f"{shown[:_LINE_CHARS_MAX]} … ({len(shown) - _LINE_CHARS_MAX} more characters)"
    line = f"warmfork: {shown}\n"
    sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()


def forget_stdout() -> None:
    """After a broken pipe: let what is still buffered go nowhere, or the interpreter complains at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0D:
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

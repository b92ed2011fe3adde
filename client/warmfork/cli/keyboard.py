"""Single keys from a terminal, without waiting for a line and without showing them."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import tty
from types import TracebackType
from typing import Any, Final, Self, TextIO

_READ_BYTES: Final = 256
_ARROWS: Final = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down"}


class Keyboard:
    """Reads keys while the block lasts; the terminal is as it was afterwards.

    Args:
        stream: where keys come from; where it is no terminal, none ever come.
    """

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno() if stream.isatty() else -1
        self._saved: list[Any] = []

    def __enter__(self) -> Self:
        if self._fd >= 0:
            self._saved = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved:
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)

    def read(self, timeout_s: float) -> list[str]:
        """Keys that were pressed, once there are some or the time is over; ``q`` when the terminal is gone."""
        if self._fd < 0:
            select.select([], [], [], timeout_s)
            return []
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return []
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError:
            data = b""
        return keys_of(data.decode("utf-8", "ignore")) if data else ["q"]


def keys_of(text: str) -> list[str]:
    """Characters and arrows of what a terminal sent; other escape sequences are nothing."""
    keys, rest = [], text
    while rest:
        if rest[0] != "\x1b":
            keys.append(rest[0])
            rest = rest[1:]
        elif rest[:3] in _ARROWS:
            keys.append(_ARROWS[rest[:3]])
            rest = rest[3:]
        else:
            rest = _after_sequence(rest)
    return keys


def _after_sequence(text: str) -> str:
    """What follows an escape sequence (ECMA-48: ESC, or ESC [ parameters, then one final character)."""
    if text[1:2] not in ("[", "O"):
        return text[2:]
    place = 2
    while place < len(text) and not "@" <= text[place] <= "~":
        place += 1
    return text[place + 1 :]

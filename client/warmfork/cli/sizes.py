"""Sizes, times and addresses as people write them, in and out."""

from __future__ import annotations

import argparse
import math
import re
from typing import Final

_SIZE: Final = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?)\s?(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"ipc://[^\0]+|tcp://[^\0]+:[0-9]{1,5}")
_POWER_OF: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def parse_size(text: str) -> int:
    """Bytes of ``512M``, ``1.5G``, ``64k`` or ``1048576``; letters are powers of 1024.

    Raises:
        argparse.ArgumentTypeError: the text is no size above zero.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match["number"]) * 1024 ** _POWER_OF[match["unit"].upper()]) if match else 0
    if size <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 512M, 1G or a number of bytes")
    return size


def parse_seconds(text: str) -> float:
    """Seconds of ``10`` or ``0.5``, a trailing ``s`` allowed.

    Raises:
        argparse.ArgumentTypeError: the text is no finite number above zero.
    """
    try:
        seconds = float(text.strip().removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not (seconds > 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write seconds above zero, such as 10 or 0.5")
    return seconds


def parse_address(text: str) -> str:
    """``text`` if it has the form of an address. Raises argparse.ArgumentTypeError."""
    if not _ADDRESS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address; write ipc:///path/of/socket or tcp://host:port")
    return text


def show_bytes(size: float) -> str:
    """``1.5 GiB``, ``512 bytes``."""
    power = 0
    while abs(size) >= 1024 and power < len(_UNITS) - 1:
        size /= 1024
        power += 1
    return f"{size:.0f} {_UNITS[0]}" if power == 0 else f"{size:.1f} {_UNITS[power]}"


def show_seconds(seconds: float) -> str:
    """``12.3 ms``, ``4.21 s``, ``3 min 20 s``, ``5 h 12 min``, ``2 d 3 h``."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 86_400:
        return f"{int(seconds // 3_600)} h {int(seconds % 3_600 // 60)} min"
    return f"{int(seconds // 86_400)} d {int(seconds % 86_400 // 3_600)} h"

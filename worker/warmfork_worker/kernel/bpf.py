"""A very small assembler for classic BPF, the language of seccomp filters (<linux/bpf_common.h>, <linux/filter.h>).

Jumps go forward only, and reach 255 instructions. There are no others: each worker has the kernel compile its program anew, at
0.4 us an instruction.
"""

from __future__ import annotations

import struct
from typing import Final

_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_NEAR_MAX: Final = 255
INSTRUCTIONS_MAX: Final = 4096
NEXT: Final = ""
"""As a target: the instruction that follows."""


class Assembler:
    """Collects instructions, resolves labels. A label is any string, placed once with ``label``."""

    def __init__(self) -> None:
        self._code: list[tuple[int, str, str, int]] = []
        self._labels: dict[str, int] = {}
        self._made = 0

    def new_label(self) -> str:
        """A label that nobody else has."""
        self._made += 1
        return f"L{self._made}"

    def label(self, name: str) -> None:
        """Place ``name`` before the next instruction."""
        self._labels[name] = len(self._code)

    def load(self, offset: int) -> None:
        """Load the 32-bit word at this offset of seccomp_data."""
        self._code.append((_LOAD_WORD, NEXT, NEXT, offset))

    def mask(self, bits: int) -> None:
        """Keep these bits of the loaded word."""
        self._code.append((_AND, NEXT, NEXT, bits))

    def if_equal(self, value: int, yes: str, no: str = NEXT) -> None:
        """Go to ``yes`` when the word is ``value``, else to ``no``."""
        self._code.append((_IF_EQUAL, yes, no, value))

    def if_at_least(self, value: int, yes: str, no: str = NEXT) -> None:
        """Go to ``yes`` when the word is ``value`` or more, unsigned, else to ``no``."""
        self._code.append((_IF_AT_LEAST, yes, no, value))

    def give(self, action: int) -> None:
        """End with this SECCOMP_RET_* value."""
        self._code.append((_RETURN, NEXT, NEXT, action))

    def assemble(self) -> bytes:
        """The program as an array of struct sock_filter. Raises ValueError when a jump is out of reach."""
        if len(self._code) > INSTRUCTIONS_MAX:
            raise ValueError(f"{len(self._code)} instructions, the kernel takes {INSTRUCTIONS_MAX}")
        return b"".join(self._encode(index, *parts) for index, parts in enumerate(self._code))

    def _encode(self, index: int, code: int, yes: str, no: str, operand: int) -> bytes:
        near = [0 if where == NEXT else self._labels[where] - index - 1 for where in (yes, no)]
        if not all(0 <= distance <= _NEAR_MAX for distance in near):
            raise ValueError(f"instruction {index} jumps {near}")
        return struct.pack("=HBBI", code, near[0], near[1], operand)

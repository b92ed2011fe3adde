"""A very small assembler for classic BPF, the language of seccomp filters (<linux/bpf_common.h>, <linux/filter.h>).

Conditional jumps reach 255 instructions, so they are only made over short distances; ``far`` jumps go any distance.
"""

from __future__ import annotations

import struct
from typing import Final

_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP: Final = 0x05  # BPF_JMP | BPF_JA
_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_NEAR_MAX: Final = 255
INSTRUCTIONS_MAX: Final = 4096


class Assembler:
    """Collects instructions, resolves labels. A label is any string, placed once with ``label``."""

    def __init__(self) -> None:
        self._code: list[tuple[int, str | int, str | int, int | str]] = []
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
        self._code.append((_LOAD_WORD, 0, 0, offset))

    def mask(self, bits: int) -> None:
        """Keep these bits of the loaded word."""
        self._code.append((_AND, 0, 0, bits))

    def unless_equal(self, value: int, target: str) -> None:
        """Jump (near) when the word is not ``value``."""
        self._code.append((_IF_EQUAL, 0, target, value))

    def if_equal(self, value: int, target: str) -> None:
        """Jump (near) when the word is ``value``."""
        self._code.append((_IF_EQUAL, target, 0, value))

    def if_at_least(self, value: int, target: str) -> None:
        """Jump (far) when the word is ``value`` or more, unsigned."""
        self._code.append((_IF_AT_LEAST, 0, 1, value))
        self._code.append((_JUMP, 0, 0, target))

    def far(self, target: str) -> None:
        """Jump (far)."""
        self._code.append((_JUMP, 0, 0, target))

    def give(self, action: int) -> None:
        """End with this SECCOMP_RET_* value."""
        self._code.append((_RETURN, 0, 0, action))

    def assemble(self) -> bytes:
        """The program as an array of struct sock_filter. Raises ValueError when a jump is out of reach."""
        if len(self._code) > INSTRUCTIONS_MAX:
            raise ValueError(f"{len(self._code)} instructions, the kernel takes {INSTRUCTIONS_MAX}")
        return b"".join(self._encode(index, *parts) for index, parts in enumerate(self._code))

    def _encode(self, index: int, code: int, yes: str | int, no: str | int, operand: int | str) -> bytes:
        near = [where if isinstance(where, int) else self._labels[where] - index - 1 for where in (yes, no)]
        if not all(0 <= distance <= _NEAR_MAX for distance in near):
            raise ValueError(f"instruction {index} jumps {near}")
        if isinstance(operand, str):
            operand = self._labels[operand] - index - 1
        return struct.pack("=HBBI", code, near[0], near[1], operand)

"""Compiles the table of ``rules`` into a seccomp program (struct seccomp_data of <linux/seccomp.h>)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

from warmfork_worker.kernel.bpf import Assembler
from warmfork_worker.kernel.numbers import KNOWN_MAX, Machine
from warmfork_worker.kernel.rules import Check, Rule

_ALLOW: Final = 0x7FFF0000  # SECCOMP_RET_ALLOW
_ERRNO: Final = 0x00050000  # SECCOMP_RET_ERRNO
_KILL_PROCESS: Final = 0x80000000  # SECCOMP_RET_KILL_PROCESS
_NUMBER_OFFSET: Final = 0
_ARCH_OFFSET: Final = 4
_ARGUMENTS_OFFSET: Final = 16
_X32_BIT: Final = 0x40000000
_DENIED: Final = _ERRNO | errno.EPERM
_UNKNOWN: Final = _ERRNO | errno.ENOSYS


def compile_filter(rules: Sequence[Rule], machine: Machine) -> bytes:
    """The program for one architecture, ready for seccomp(2).

    Another architecture (int 0x80 on x86_64) kills the process; the x32 numbers and whatever no rule names are EPERM;
    numbers newer than ``KNOWN_MAX`` are ENOSYS. The search is a balanced tree over ranges of numbers.
    """
    by_number = {machine.numbers[name]: rule for rule in rules for name in rule.names if name in machine.numbers}
    out = Assembler()
    out.load(_ARCH_OFFSET)
    out.if_equal(machine.audit_arch, "known")
    out.give(_KILL_PROCESS)
    out.label("known")
    out.load(_NUMBER_OFFSET)
    if machine.has_x32:
        out.if_at_least(_X32_BIT, "denied")
    out.if_at_least(KNOWN_MAX + 1, "unknown")
    _search(out, _ranges(by_number), machine)
    out.label("denied")
    out.give(_DENIED)
    out.label("unknown")
    out.give(_UNKNOWN)
    return out.assemble()


def _ranges(by_number: dict[int, Rule]) -> list[tuple[int, Rule | None]]:
    """(first number, rule) of each run of equal treatment, from 0 up."""
    found: list[tuple[int, Rule | None]] = []
    for number in range(KNOWN_MAX + 1):
        rule = by_number.get(number)
        if not found or _treatment(found[-1][1]) != _treatment(rule):
            found.append((number, rule))
    return found


def _treatment(rule: Rule | None) -> object:
    return None if rule is None else (rule.errno, rule.ways)


def _search(out: Assembler, ranges: list[tuple[int, Rule | None]], machine: Machine) -> None:
    if len(ranges) == 1:
        _act(out, ranges[0][1])
        return
    middle = len(ranges) // 2
    upper = out.new_label()
    out.if_at_least(ranges[middle][0], upper)
    _search(out, ranges[:middle], machine)
    out.label(upper)
    _search(out, ranges[middle:], machine)


def _act(out: Assembler, rule: Rule | None) -> None:
    if rule is None:
        out.give(_DENIED)
    elif rule.errno is not None:
        out.give(_ERRNO | rule.errno)
    elif not rule.ways:
        out.give(_ALLOW)
    else:
        for way in rule.ways:
            other = out.new_label()
            for check in way:
                _check(out, check, other)
            out.give(_ALLOW)
            out.label(other)
        out.give(_DENIED)


def _check(out: Assembler, check: Check, failed: str) -> None:
    offset = _ARGUMENTS_OFFSET + 8 * check.argument  # both architectures are little-endian: low half first
    if check.whole:
        out.load(offset + 4)
        out.unless_equal(0, failed)
    out.load(offset)
    if check.mask != 0xFFFFFFFF:
        out.mask(check.mask)
    passed = out.new_label()
    for value in check.values[:-1]:
        out.if_equal(value, passed)
    out.unless_equal(check.values[-1], failed)
    out.label(passed)

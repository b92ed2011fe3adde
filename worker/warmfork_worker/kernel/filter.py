"""Compiles the table of ``rules`` into a seccomp program (struct seccomp_data of <linux/seccomp.h>)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

from warmfork_worker.kernel.bpf import NEXT, Assembler
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
    numbers newer than ``KNOWN_MAX`` are ENOSYS. The search is a balanced tree over ranges of numbers, whose leaves are answers
    that stand once, at the end. Raises ValueError for so many rules that these are out of reach.
    """
    by_number = {machine.numbers[name]: rule for rule in rules for name in rule.names if name in machine.numbers}
    out = Assembler()
    answers = _Answers()
    out.load(_ARCH_OFFSET)
    out.if_equal(machine.audit_arch, NEXT, answers.label(_KILL_PROCESS))
    out.load(_NUMBER_OFFSET)
    if machine.has_x32:
        out.if_at_least(_X32_BIT, answers.label(_DENIED))
    out.if_at_least(KNOWN_MAX + 1, answers.label(_UNKNOWN))
    _search(out, answers, _ranges(by_number))
    answers.give(out)
    return out.assemble()


class _Answers:
    """What a program can end with, each at a label of its own."""

    def __init__(self) -> None:
        self._labels: dict[int, str] = {}

    def label(self, action: int) -> str:
        """Where this SECCOMP_RET_* value will be given."""
        return self._labels.setdefault(action, f"give {action:#x}")

    def of(self, rule: Rule | None) -> str | None:
        """Where the answer to a call of this rule is given; None where it hangs on the call's arguments."""
        if rule is None:
            return self.label(_DENIED)
        if rule.errno is not None:
            return self.label(_ERRNO | rule.errno)
        return None if rule.ways else self.label(_ALLOW)

    def give(self, out: Assembler) -> None:
        """Place all that was asked for."""
        for action, label in self._labels.items():
            out.label(label)
            out.give(action)


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


def _search(out: Assembler, answers: _Answers, ranges: list[tuple[int, Rule | None]]) -> None:
    """Go on to what becomes of the loaded number."""
    if len(ranges) == 1:
        _, rule = ranges[0]
        answer = answers.of(rule)
        if answer is not None:  # of a table that treats all numbers alike
            out.if_at_least(0, answer)
        elif rule is not None:
            _judge(out, answers, rule)
        return
    middle = len(ranges) // 2
    lower, upper = ranges[:middle], ranges[middle:]
    below, above = (answers.of(half[0][1]) if len(half) == 1 else None for half in (lower, upper))
    upper_label = above or out.new_label()
    out.if_at_least(upper[0][0], upper_label, below or NEXT)
    if below is None:
        _search(out, answers, lower)
    if above is None:
        out.label(upper_label)
        _search(out, answers, upper)


def _judge(out: Assembler, answers: _Answers, rule: Rule) -> None:
    """Let the call pass where every check of one of the ways holds."""
    *others, last = rule.ways
    for way in others:
        next_way = out.new_label()
        _try(out, answers, way, next_way)
        out.label(next_way)
    _try(out, answers, last, answers.label(_DENIED))


def _try(out: Assembler, answers: _Answers, way: Sequence[Check], failed: str) -> None:
    *others, last = way
    for check in others:
        _check(out, check, NEXT, failed)
    _check(out, last, answers.label(_ALLOW), failed)


def _check(out: Assembler, check: Check, passed: str, failed: str) -> None:
    offset = _ARGUMENTS_OFFSET + 8 * check.argument  # both architectures are little-endian: low half first
    if check.whole:
        out.load(offset + 4)
        out.if_equal(0, NEXT, failed)
    out.load(offset)
    if check.mask != 0xFFFFFFFF:
        out.mask(check.mask)
    held = passed if passed != NEXT or len(check.values) == 1 else out.new_label()
    for value in check.values[:-1]:
        out.if_equal(value, held)
    out.if_equal(check.values[-1], held, failed)
    if held != passed:
        out.label(held)

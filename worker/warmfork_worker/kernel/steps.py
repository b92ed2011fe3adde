"""System calls put together in the template, to be made one after the other in a worker, as soon as it is born.

Everything that can be worked out beforehand is: the worker only makes the calls, in native code where that was built
when warmfork was installed, and else in the same order by itself, which costs it a few milliseconds more.
"""

from __future__ import annotations

import ctypes
import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from warmfork_worker.kernel.numbers import this_machine

if TYPE_CHECKING:
    from typing import Any

_STORE: Final = -1
_NOWHERE: Final = -1
_ANY: Final = -1
_WHATEVER: Final = -2
_ARGUMENTS: Final = 6
STEP_WORDS: Final = 4 + _ARGUMENTS
"""Words of a step, as ``Step`` in ``_steps.c``: number, which arguments are places, place of the result, expected, arguments."""

_Run = Callable[["array[int]", "array[int]"], "tuple[int, int] | None"]

_syscall: Final = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Place:
    """A number that is known only when the steps are made: an input, or the result of a step before."""

    index: int


Argument = int | bytes | ctypes.Structure | ctypes.Array[ctypes.c_size_t] | Place | None


class Steps:
    """System calls in the order in which they are to be made, and what their pointers lead to.

    Args:
        inputs: how many numbers ``run`` is given; their places are ``inputs``.

    Attributes:
        inputs: places of the numbers that ``run`` is given.
    """

    def __init__(self, inputs: int = 0) -> None:
        self._words = array("q")
        self._places = array("q", [-1] * inputs)
        self._names: list[str] = []
        self._kept: list[object] = []
        self.inputs = tuple(map(Place, range(inputs)))

    def add(self, name: str, *arguments: Argument, expect: int = _ANY, what: str = "") -> None:
        """Make the system call ``name``. Integers go as they are, bytes and structures by address, None as NULL.

        Args:
            name: of the call.
            arguments: at most six.
            expect: the result that is right; without it, any but -1 is.
            what: what an error says was done, instead of the call's name.
        """
        self._add(this_machine().numbers[name], what or name, arguments, expect=expect)

    def add_into_place(self, name: str, *arguments: Argument, what: str = "") -> Place:
        """As ``add``; the result is kept, for later steps and ``value``."""
        place = Place(len(self._places))
        self._places.append(-1)
        self._add(this_machine().numbers[name], what or name, arguments, into=place.index)
        return place

    def add_hint(self, name: str, *arguments: Argument) -> None:
        """As ``add``, for a call that may as well fail."""
        self._add(this_machine().numbers[name], name, arguments, expect=_WHATEVER)

    def store(self, structure: ctypes.Structure, offset: int, value: int | Place) -> None:
        """Write eight bytes into a structure that other steps point to."""
        assert offset + 8 <= ctypes.sizeof(structure), "the structure needs room behind what is stored"
        self._kept.append(structure)
        self._add(_STORE, "store", (ctypes.addressof(structure) + offset, value))

    def _add(
        self, number: int, what: str, arguments: tuple[Argument, ...], *, into: int = _NOWHERE, expect: int = _ANY
    ) -> None:
        assert len(arguments) <= _ARGUMENTS
        places = sum(1 << index for index, argument in enumerate(arguments) if isinstance(argument, Place))
        words = [self._as_word(argument) for argument in arguments]
        self._words.extend([number, places, into, expect, *words, *[0] * (_ARGUMENTS - len(words))])
        self._names.append(what)

    def _as_word(self, argument: Argument) -> int:
        if argument is None:
            return 0
        if isinstance(argument, Place):
            return argument.index
        if isinstance(argument, int):
            return argument if argument < 1 << 63 else argument - (1 << 64)
        memory: ctypes.Structure | ctypes.Array[ctypes.c_char] | ctypes.Array[ctypes.c_size_t] = (
            ctypes.create_string_buffer(argument) if isinstance(argument, bytes) else argument
        )
        self._kept.append(memory)
        return ctypes.addressof(memory)

    def run(self, *inputs: int) -> None:
        """Make the calls. Raises OSError at the first that fails; what ran before stays done."""
        places = self._places
        for index, value in enumerate(inputs):
            places[index] = value
        failed = _run(self._words, places)
        if failed is not None:
            index, number = failed
            raise OSError(number, f"{self._names[index]}: {os.strerror(number) if number else 'not what it has to be'}")

    def value(self, place: Place) -> int:
        """What the last ``run`` put there; -1 where it did not come so far."""
        return self._places[place.index]

    @property
    def words(self) -> array[int]:
        """All steps, as the native parts read them."""
        return self._words

    @property
    def place_count(self) -> int:
        """How many places there are."""
        return len(self._places)

    def forget(self) -> None:
        """Before it runs again: no place has a value."""
        for index in range(len(self._places)):
            self._places[index] = -1


def run_slowly(words: array[int], places: array[int]) -> tuple[int, int] | None:
    """What ``_steps.run`` does: the steps by ctypes. None, or (index, errno) of the step that failed."""
    for start in range(0, len(words), STEP_WORDS):
        number, from_places, into, expected, *arguments = words[start : start + STEP_WORDS]
        arguments = [places[word] if from_places >> index & 1 else word for index, word in enumerate(arguments)]
        if number == _STORE:
            ctypes.c_int64.from_address(arguments[0]).value = arguments[1]
            continue
        passed: list[Any] = [ctypes.c_long(word) for word in arguments]
        result = int(_syscall(ctypes.c_long(number), *passed))
        if expected != _WHATEVER and (result == -1 or (expected != _ANY and result != expected)):
            return start // STEP_WORDS, ctypes.get_errno() if result == -1 else 0
        if into != _NOWHERE:
            places[into] = result
    return None


def _native() -> tuple[_Run, str]:
    try:
        from warmfork_worker.kernel._steps import run
    except ImportError as problem:
        return run_slowly, f"its native part was not built when warmfork was installed ({problem})"
    return run, ""


_run, NATIVE_PROBLEM = _native()


def use_no_native_steps() -> None:
    """Make them by ctypes from now on."""
    global _run
    _run = run_slowly

"""Typed, bounded reading of a header map. Every reader returns a value of the stated type or raises ProtocolError."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from warmfork.errors import ProtocolError
from warmfork.wire import limits

_REQUIRED: Final[Any] = object()


class Fields:
    """One map of a header. Fields that are not asked for are ignored, so later versions may add some.

    Args:
        items: the decoded map.
        where: what the map is, for error messages.
    """

    __slots__ = ("_items", "_where")

    def __init__(self, items: Any, where: str) -> None:
        if type(items) is not dict:
            raise ProtocolError(f"{where} is {type(items).__name__} where a map is expected")
        self._items: dict[str, Any] = items
        self._where = where

    def _refuse(self, name: str, value: Any, expected: str) -> ProtocolError:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return ProtocolError(f"{self._where}: field {name!r} is {shown} where {expected} is expected")

    def _get(self, name: str, default: Any, expected: str) -> Any:
        value = self._items.get(name)
        if value is None:
            if default is _REQUIRED:
                raise self._refuse(name, value, expected)
            return default
        return value

    def text(self, name: str, *, chars_max: int, default: Any = _REQUIRED) -> str:
        """A string of at most ``chars_max`` characters that UTF-8 can carry."""
        value = self._get(name, default, "text")
        if type(value) is not str or len(value) > chars_max:
            raise self._refuse(name, value, f"text of at most {chars_max} characters")
        return value

    def optional_text(self, name: str, *, chars_max: int) -> str | None:
        """Like ``text``, None where the field is absent."""
        return None if self._items.get(name) is None else self.text(name, chars_max=chars_max)

    def word(self, name: str, allowed: Sequence[str], *, default: Any = _REQUIRED) -> str:
        """One of the allowed words."""
        value = self._get(name, default, f"one of {', '.join(allowed)}")
        if value not in allowed:
            raise self._refuse(name, value, f"one of {', '.join(allowed)}")
        return cast(str, value)

    def integer(self, name: str, low: int, high: int, *, default: Any = _REQUIRED) -> int:
        """An integer from ``low`` to ``high``; True and False are not integers here."""
        value = self._get(name, default, "an integer")
        if type(value) is not int or not low <= value <= high:
            raise self._refuse(name, value, f"an integer from {low} to {high}")
        return value

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        """Like ``integer``, None where the field is absent."""
        return None if self._items.get(name) is None else self.integer(name, low, high)

    def number(self, name: str, low: float, high: float, *, default: Any = _REQUIRED) -> float:
        """A finite number from ``low`` to ``high``."""
        value = self._get(name, default, "a number")
        if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
            raise self._refuse(name, value, f"a number from {low} to {high}")
        return float(value)

    def optional_number(self, name: str, low: float, high: float) -> float | None:
        """Like ``number``, None where the field is absent."""
        return None if self._items.get(name) is None else self.number(name, low, high)

    def numbers(self, name: str, low: float, high: float, *, count_max: int) -> list[float]:
        """A list of at most ``count_max`` finite numbers from ``low`` to ``high``; empty where absent."""
        value = self.items(name, count_max=count_max)
        plain = {int, float}.issuperset(map(type, value))
        # The sum of anything with nan is nan, where the least and the greatest may hide one.
        if value and not (plain and low <= min(value) and max(value) <= high and math.isfinite(sum(value))):
            raise self._refuse(name, value, f"a list of numbers from {low} to {high}")
        return list(map(float, value))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or False."""
        value = self._get(name, default, "true or false")
        if type(value) is not bool:
            raise self._refuse(name, value, "true or false")
        return value

    def optional_flag(self, name: str) -> bool | None:
        """True, False, or None where the field is absent."""
        return None if self._items.get(name) is None else self.flag(name)

    def binary(self, name: str, *, bytes_max: int, default: Any = _REQUIRED) -> bytes:
        """Bytes, at most ``bytes_max`` of them."""
        value = self._get(name, default, "bytes")
        if type(value) is not bytes or len(value) > bytes_max:
            raise self._refuse(name, value, f"at most {bytes_max} bytes")
        return value

    def job_id(self, name: str = "id") -> bytes:
        """A job id: exactly 16 bytes."""
        value = self._get(name, _REQUIRED, f"{limits.JOB_ID_BYTES} bytes")
        if type(value) is not bytes or len(value) != limits.JOB_ID_BYTES:
            raise self._refuse(name, value, f"{limits.JOB_ID_BYTES} bytes")
        return value

    def items(self, name: str, *, count_max: int) -> list[Any]:
        """A list of at most ``count_max`` items; empty where absent."""
        value = self._items.get(name)
        if value is None:
            return []
        if type(value) is not list or len(value) > count_max:
            raise self._refuse(name, value, f"a list of at most {count_max} items")
        return value

    def texts(self, name: str, *, count_max: int, chars_max: int) -> tuple[str, ...]:
        """A list of strings; empty where absent."""
        value = self.items(name, count_max=count_max)
        for item in value:
            if type(item) is not str or len(item) > chars_max:
                raise self._refuse(name, value, f"a list of texts of at most {chars_max} characters")
        return tuple(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A map with string keys; empty where absent. Its inside is not looked at."""
        value = self._items.get(name)
        if value is None:
            return {}
        if type(value) is not dict:
            raise self._refuse(name, value, "a map")
        return value

    def inner(self, name: str) -> Fields:
        """The fields of an inner map; an empty one where absent."""
        return Fields(dict(self.mapping(name)), f"{self._where}: {name}")

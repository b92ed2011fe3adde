"""Typed, bounded reading of a control packet. Whatever is read is of the stated type and size, or ProtocolError is raised.

What one field may be is written down as data (``text``, ``word``, ``integer`` …), and a row of these, a shape, is read by one
loop. Messages of clients are read by msgspec (``headers``), which a template of another interpreter has not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.wire import limits

_REQUIRED: Final[Any] = object()

_TEXT: Final = (str,)
_INTEGER: Final = (int,)
_NUMBER: Final = (int, float)
_FLAG: Final = (bool,)
_LIST: Final = (list,)
_MAP: Final = (dict,)
_SHOWN_CHARS_MAX: Final = 60

Bound = int | float
Field = tuple[str, tuple[type, ...], Bound, Bound, Collection[str] | None, Any]
"""Name, types, least and greatest (of a number its value, of anything else its length), words allowed, default."""


def text(name: str, *, chars_max: int, default: Any = _REQUIRED) -> Field:
    """A string of at most ``chars_max`` characters."""
    return (name, _TEXT, 0, chars_max, None, default)


def word(name: str, allowed: Collection[str], *, default: Any = _REQUIRED) -> Field:
    """One of the allowed words."""
    return (name, _TEXT, 0, limits.HEADER_BYTES_MAX, allowed, default)


def integer(name: str, low: int, high: int, *, default: Any = _REQUIRED) -> Field:
    """An integer from ``low`` to ``high``; True and False are not integers here."""
    return (name, _INTEGER, low, high, None, default)


def number(name: str, low: float, high: float, *, default: Any = _REQUIRED) -> Field:
    """A finite number from ``low`` to ``high``, which are finite."""
    return (name, _NUMBER, low, high, None, default)


def flag(name: str, *, default: Any = False) -> Field:
    """True or False."""
    return (name, _FLAG, 0, 1, None, default)


def items(name: str, *, count_max: int) -> Field:
    """A list of at most ``count_max`` items; empty where absent. What the items are is not looked at."""
    return (name, _LIST, 0, count_max, None, ())


def mapping(name: str, *, default: Any = _REQUIRED) -> Field:
    """A map with string keys. Its inside is not looked at."""
    return (name, _MAP, 0, limits.CONTAINER_ITEMS_MAX, None, default)


def read(where: str, source: Any, shape: Sequence[Field]) -> list[Any]:
    """The values of these fields, in their order; of an absent one (or None) the default, where it has one.

    Fields of the map that are not asked for are ignored, so later versions may add some.

    Args:
        where: what the map is, for error messages.
        source: the decoded map.
        shape: what to read.

    Raises:
        ProtocolError: it is no map, or a field is missing or not what it must be.
    """
    if type(source) is not dict:
        raise ProtocolError(f"{where} is {type(source).__name__} where a map is expected")
    values = []
    for name, types, low, high, allowed, default in shape:
        value = source.get(name)
        if value is None:
            if default is _REQUIRED:
                raise _refusal(where, name, value, types, low, high, allowed)
            values.append(default)
            continue
        if type(value) not in types:
            raise _refusal(where, name, value, types, low, high, allowed)
        # No comparison with nan is true.
        if not low <= (value if types is _NUMBER or types is _INTEGER or types is _FLAG else len(value)) <= high:
            raise _refusal(where, name, value, types, low, high, allowed)
        if allowed is not None and value not in allowed:
            raise _refusal(where, name, value, types, low, high, allowed)
        values.append(float(value) if types is _NUMBER else value)
    return values


def _refusal(
    where: str,
    name: str,
    value: Any,
    types: tuple[type, ...],
    low: Bound,
    high: Bound,
    allowed: Collection[str] | None,
) -> ProtocolError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN_CHARS_MAX else shown[: _SHOWN_CHARS_MAX - 3] + "..."
    expected = {
        _TEXT: f"text of at most {high} characters" if allowed is None else f"one of {', '.join(allowed)}",
        _INTEGER: f"an integer from {low} to {high}",
        _NUMBER: f"a number from {low} to {high}",
        _FLAG: "true or false",
        _LIST: f"a list of at most {high} items",
        _MAP: "a map",
    }[types]
    return ProtocolError(f"{where}: field {name!r} is {shown} where {expected} is expected")


def checked_texts(where: str, name: str, found: Sequence[Any], *, chars_max: int) -> tuple[str, ...]:
    """These items, each of which must be a string of at most ``chars_max`` characters, or ProtocolError."""
    for item in found:
        if type(item) is not str or len(item) > chars_max:
            raise ProtocolError(f"{where}: field {name!r} is not a list of texts of at most {chars_max} characters")
    return tuple(found)

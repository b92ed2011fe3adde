"""Variables as what they are: None, bool, int of any size, float, str, bytes, list, tuple, dict, set, frozenset,
complex, datetime, date, time and timedelta, nested in any way. Anything else is refused, never turned into text.

Exact types only: a subclass (an IntEnum, a defaultdict, a numpy scalar) would come out as something else than it went in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from warmfork.errors import ProtocolError, ValueNotCarried
from warmfork.wire import codec, limits

_TUPLE: Final = 1
_SET: Final = 2
_FROZENSET: Final = 3
_BIG_INTEGER: Final = 4
_COMPLEX: Final = 5
_DATETIME: Final = 6
_DATE: Final = 7
_TIME: Final = 8
_TIMEDELTA: Final = 9

_SCALARS: Final = (type(None), bool, float, str, bytes)
_INT64_MIN, _UINT64_MAX = -(1 << 63), (1 << 64) - 1


def pack_variables(variables: Mapping[str, Any]) -> bytes:
    """Pack a map of variable names to values.

    Raises:
        ValueNotCarried: a name is not an identifier, a value is of another type, nests deeper than 64 containers
            (or contains itself), or the whole is over 64 MiB. The message names the variable and the place in it.
    """
    prepared = {}
    for name, value in variables.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueNotCarried(f"variable name {name!r} is not a Python identifier")
        prepared[name] = _prepare(value, name, 1)
    try:
        packed = codec.pack(prepared)
    except UnicodeEncodeError as problem:
        raise ValueNotCarried(f"a text among the variables is not valid Unicode: {problem}") from None
    if len(packed) > limits.VALUES_BYTES_MAX:
        raise ValueNotCarried(
            f"the variables take {len(packed)} bytes where at most {limits.VALUES_BYTES_MAX} travel; use files= for bulk data"
        )
    return packed


def _prepare(value: Any, where: str, depth: int) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is int:
        if _INT64_MIN <= value <= _UINT64_MAX:
            return value
        return codec.extension(_BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if depth > limits.VALUES_NESTING_MAX:
        raise ValueNotCarried(f"{where.split('[')[0]} nests deeper than {limits.VALUES_NESTING_MAX} containers")
    if kind is list:
        return [_prepare(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if kind is dict:
        return {
            _prepare_key(key, where, depth): _prepare(item, f"{where}[{_shown(key)}]", depth + 1)
            for key, item in value.items()
        }
    if kind in (tuple, set, frozenset):
        codes: dict[type, int] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}
        code = codes[kind]
        return codec.extension(code, codec.pack([_prepare(item, f"{where}[...]", depth + 1) for item in value]))
    return _prepare_moment(value, kind, where)


def _prepare_moment(value: Any, kind: type, where: str) -> Any:
    if kind is complex:
        return codec.extension(_COMPLEX, codec.pack([value.real, value.imag]))
    if kind is dt.datetime and (value.tzinfo is None or type(value.tzinfo) is dt.timezone):
        return codec.extension(_DATETIME, value.isoformat().encode())
    if kind is dt.date:
        return codec.extension(_DATE, value.isoformat().encode())
    if kind is dt.time and value.tzinfo is None:
        return codec.extension(_TIME, value.isoformat().encode())
    if kind is dt.timedelta:
        return codec.extension(_TIMEDELTA, codec.pack([value.days, value.seconds, value.microseconds]))
    raise ValueNotCarried(
        f"{where} is a {kind.__module__}.{kind.__qualname__}, which does not travel as what it is; "
        "pass plain data (a DataFrame as df.to_dict('list'), an array as .tolist()) or bytes with files="
    )


def _prepare_key(key: Any, where: str, depth: int) -> Any:
    if type(key) is tuple or type(key) is frozenset or type(key) in _SCALARS or type(key) is int:
        return _prepare(key, f"{where}'s key", depth + 1)
    return _prepare_moment(key, type(key), f"{where}'s key {_shown(key)}")


def _shown(key: Any) -> str:
    """A key for a message: never long, and never the ValueError that ``repr`` raises for a huge integer."""
    try:
        shown = repr(key)
    except ValueError:
        return "..."
    return shown if len(shown) <= 80 else shown[:77] + "..."


def unpack_variables(data: bytes | memoryview) -> dict[str, Any]:
    """The inverse of ``pack_variables``. Raises ProtocolError for anything that it did not make."""
    value = _unpack(data)
    if type(value) is not dict or not all(type(name) is str and name.isidentifier() for name in value):
        raise ProtocolError("the variables are not a map of names to values")
    return value


def _unpack(data: bytes | memoryview, depth: int = 1) -> Any:
    return codec.unpack(
        data,
        bytes_max=limits.VALUES_BYTES_MAX,
        string_bytes_max=limits.VALUES_BYTES_MAX,
        items_max=limits.VALUES_BYTES_MAX,
        nesting_max=limits.VALUES_NESTING_MAX,
        any_keys=True,
        ext_hook=lambda code, payload: _extension(code, payload, depth),
    )


def _extension(code: int, payload: bytes, depth: int) -> Any:
    # Each extension inside another holds a copy of its payload: the depth must end before the memory does.
    if depth > limits.VALUES_NESTING_MAX:
        raise ProtocolError(f"containers are nested deeper than {limits.VALUES_NESTING_MAX}")
    try:
        if code in (_TUPLE, _SET, _FROZENSET):
            return {_TUPLE: tuple, _SET: set, _FROZENSET: frozenset}[code](_expect_list(payload, depth))
        if code == _BIG_INTEGER:
            return int.from_bytes(payload, "big", signed=True)
        if code == _COMPLEX:
            real, imaginary = _expect_list(payload, depth)
            return complex(real, imaginary)
        if code == _TIMEDELTA:
            days, seconds, microseconds = _expect_list(payload, depth)
            return dt.timedelta(days, seconds, microseconds)
        parse: Any = {
            _DATETIME: dt.datetime.fromisoformat,
            _DATE: dt.date.fromisoformat,
            _TIME: dt.time.fromisoformat,
        }.get(code)
        if parse is None:
            raise ProtocolError(f"extension type {code} is not part of the protocol")
        return parse(payload.decode())
    except ProtocolError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise ProtocolError(f"extension type {code} is malformed: {problem}") from None


def _expect_list(payload: bytes, depth: int) -> list[Any]:
    value = _unpack(payload, depth + 1)
    if type(value) is not list:
        raise ProtocolError(f"an extension holds {type(value).__name__} where a list is expected")
    return value

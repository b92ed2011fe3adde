"""The one module that imports msgpack: bounded packing and unpacking of plain data.

``unpack`` accepts any bytes: they decode to plain data within the limits or raise ``ProtocolError``. It never
builds an object of any class other than None, bool, int, float, str, bytes, list and dict.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from warmfork.errors import ProtocolError
from warmfork.wire import limits

ExtHook = Any
unpack_believed: Final[Any] = msgpack.unpackb
"""``unpack`` without its checks, for what comes from a peer that is believed. Raises nearly anything for malformed data."""
Packer: Final[Any] = msgpack.Packer
"""``Packer().pack(value)`` is ``pack(value)`` in one function less."""
_SCALARS: Final = (type(None), bool, int, float, str, bytes)
_PACKER_OPTIONS: Final[dict[str, Any]] = {"use_bin_type": True, "strict_types": True}


def pack(value: Any, default: Any = None) -> bytes:
    """Pack plain data. ``default`` maps a value that msgpack does not carry to one it does, or raises."""
    packed: bytes = Packer(default=default, **_PACKER_OPTIONS).pack(value)
    return packed


def extension(code: int, payload: bytes) -> Any:
    """A msgpack extension value with this type code (0 to 127), for ``default`` to return."""
    return msgpack.ExtType(code, payload)


def unpack(
    data: bytes | memoryview,
    *,
    bytes_max: int = limits.HEADER_BYTES_MAX,
    string_bytes_max: int = limits.STRING_BYTES_MAX,
    items_max: int = limits.CONTAINER_ITEMS_MAX,
    nesting_max: int = limits.NESTING_MAX,
    any_keys: bool = False,
    ext_hook: ExtHook = None,
) -> Any:
    """Unpack exactly one value from ``data``.

    Args:
        data: the packed bytes.
        bytes_max, string_bytes_max, items_max, nesting_max: bounds on the whole, on each string or byte string,
            on the items of each container and on how deep containers stand inside one another.
        any_keys: allow keys of any hashable type; otherwise every key must be a string.
        ext_hook: called with (code, payload) for extension values; without it they are refused.

    Raises:
        ProtocolError: for anything else than one well-formed value within the bounds.
    """
    if len(data) > bytes_max:
        raise ProtocolError(f"{len(data)} bytes of packed data where at most {bytes_max} are allowed")
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=not any_keys,
            ext_hook=ext_hook or _refuse_extension,
            max_str_len=string_bytes_max,
            max_bin_len=string_bytes_max,
            max_ext_len=string_bytes_max,
            # A container's place is allocated when its header is read: never more than the data could fill.
            max_array_len=min(items_max, len(data)),
            max_map_len=min(items_max, len(data) // 2),
        )
    except ProtocolError:
        raise
    except msgpack.ExtraData as problem:
        raise ProtocolError(f"{len(problem.extra)} bytes follow the packed value") from None
    except (msgpack.UnpackException, ValueError, TypeError, OverflowError, RecursionError) as problem:
        # msgpack raises each of these for some malformed input (an unhashable key is a TypeError, say).
        raise ProtocolError(f"not well-formed packed data: {type(problem).__name__}: {problem}") from None
    if any_keys:
        _check_values(value, nesting_max)
    else:
        check_plain(value, nesting_max, items_max, string_bytes_max)
    return value


def _refuse_extension(code: int, payload: bytes) -> Any:
    raise ProtocolError(f"extension type {code} is not part of the protocol")


def _check_values(value: Any, nesting_max: int) -> None:
    """Raise ProtocolError for what msgpack lets through where keys may be anything: deep nesting, its own Timestamp objects."""
    level = [value]
    for _ in range(nesting_max + 1):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                inner.extend(item)
                inner.extend(item.values())
            elif kind in (list, tuple, set, frozenset):
                inner.extend(item)
            elif kind is msgpack.Timestamp:
                # Extension type -1 never reaches an ext_hook: msgpack makes an object of its own of it.
                raise ProtocolError("extension type -1 is not part of the protocol")
        if not inner:
            return
        level = inner
    raise ProtocolError(f"containers are nested deeper than {nesting_max}")


def check_plain(
    value: Any,
    nesting_max: int = limits.NESTING_MAX,
    items_max: int = limits.CONTAINER_ITEMS_MAX,
    string_bytes_max: int = limits.STRING_BYTES_MAX,
) -> None:
    """Raise ProtocolError for anything but plain data within these bounds.

    Plain are None, numbers, strings and bytes, lists of these and maps of these with strings as keys.
    """
    level = [value]
    for _ in range(nesting_max + 1):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind in (dict, list) and len(item) > items_max:
                raise ProtocolError(f"{len(item)} items where at most {items_max} are allowed")
            if kind is dict:
                _check_keys(item)
                inner.extend(item)
                inner.extend(item.values())
            elif kind is list:
                inner.extend(item)
            elif kind not in _SCALARS:
                raise ProtocolError(f"{kind.__name__} is not plain data")
            elif kind in (str, bytes) and len(item) > string_bytes_max:
                raise ProtocolError(f"{len(item)} bytes of text where at most {string_bytes_max} are allowed")
        if not inner:
            return
        level = inner
    raise ProtocolError(f"containers are nested deeper than {nesting_max}")


def _check_keys(mapping: dict[Any, Any]) -> None:
    kinds = {type(key).__name__ for key in mapping if type(key) is not str}
    if kinds:
        raise ProtocolError(f"a map key is {', '.join(sorted(kinds))} where only strings are allowed")

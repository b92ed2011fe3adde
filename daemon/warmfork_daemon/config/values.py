"""One value of one setting: from TOML or text to what the daemon holds, or a ConfigError that says what is allowed.

Values from a file must have the type that the key has; text from the environment and from flags is read as that type.
Sizes may be text in both.
"""

from __future__ import annotations

import ipaddress
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from warmfork.errors import ConfigError
from warmfork_daemon.config.declare import Kind, Setting

IPC_PATH_BYTES_MAX: Final = 107
"""``sun_path`` of Linux holds 108 bytes with the closing NUL."""

_SIZE: Final = re.compile(r"(\d{1,18})\s*([KMGT])?(?:iB)?", re.ASCII)
_SUFFIX_BYTES: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TRUTH: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_TCP: Final = re.compile(r"tcp://(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>\d{1,5})", re.ASCII)
_WEIGHT: Final = re.compile(r"((?:key:|tenant:)?[A-Za-z0-9_][A-Za-z0-9_.-]*\$?)=([0-9]{1,4})", re.ASCII)
WEIGHT_MAX: Final = 1_000
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_GROUP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
_SHOWN_CHARS_MAX: Final = 120


class _RefusedError(Exception):
    """Why one value is not allowed, where ``allowed()`` alone does not say it."""


def refusal(key: str, value: object, origin: str, reason: str) -> ConfigError:
    """The one form of every refusal: key, value, where it came from, and what is allowed."""
    shown = repr(value)
    if len(shown) > _SHOWN_CHARS_MAX:
        shown = shown[:_SHOWN_CHARS_MAX] + "…"
    return ConfigError(f"{key} = {shown} (from {origin}) is not allowed: {reason}")


def read_value(setting: Setting, value: object, origin: str, *, as_text: bool) -> Any:
    """The value as the daemon holds it.

    ``as_text`` says that it comes from a place that knows text alone (environment, flags). Raises ConfigError.
    """
    try:
        if setting.many:
            return _read_list(setting, value, as_text)
        return _read_one(setting, value, as_text)
    except _RefusedError as why:
        raise refusal(setting.key, value, origin, str(why)) from None


def format_size(size_bytes: int) -> str:
    """``1G``, ``1536K``: the shortest text that reads back as exactly this many bytes."""
    for suffix, unit in reversed(_SUFFIX_BYTES.items()):
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{suffix}"
    return str(size_bytes)


def allowed(setting: Setting) -> str:
    """What the setting accepts, as the end of a sentence that starts with "expected"."""
    one = _DESCRIBED[setting.kind](setting)
    return f"a list, each item {one}" if setting.many else one


def _read_list(setting: Setting, value: object, as_text: bool) -> tuple[Any, ...]:
    items = _split(setting, value) if as_text and isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _RefusedError(f"expected {allowed(setting)}")
    read = tuple(_read_one(setting, item, as_text) for item in items)
    if len(set(read)) != len(read):
        raise _RefusedError("each item may be named once only")
    if "" in read:
        raise _RefusedError(f"expected {allowed(setting)}, and no empty item")
    return read


def _split(setting: Setting, text: str) -> list[Any]:
    """``a,b`` or a TOML array, for items that hold a comma themselves."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",")] if text.strip() else []
    try:
        items: list[Any] = tomllib.loads(f"items = {text}")["items"]
    except tomllib.TOMLDecodeError:
        raise _RefusedError(f"expected {allowed(setting)}; as text: a,b or a TOML array") from None
    return items


def _read_one(setting: Setting, value: object, as_text: bool) -> Any:
    read = _READERS[setting.kind](setting, value, as_text)
    below = setting.minimum is not None and read < setting.minimum
    if below or (setting.maximum is not None and read > setting.maximum):
        raise _RefusedError(f"expected {allowed(setting)}")
    return read


def _read_bool(setting: Setting, value: object, as_text: bool) -> bool:
    if isinstance(value, bool):
        return value
    if as_text and isinstance(value, str) and value.strip().lower() in _TRUTH:
        return _TRUTH[value.strip().lower()]
    raise _RefusedError(f"expected {allowed(setting)}")


def _read_integer(setting: Setting, value: object, as_text: bool) -> int:
    if as_text and isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _RefusedError(f"expected {allowed(setting)}")


def _read_number(setting: Setting, value: object, as_text: bool) -> float:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        # An integer of 400 digits is valid TOML and no float.
        number = float(value) if abs(value) < 1e300 else math.inf
    elif as_text and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    if not math.isfinite(number):
        raise _RefusedError(f"expected {allowed(setting)}")
    return number


def _read_size(setting: Setting, value: object, as_text: bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise _RefusedError(f"expected {allowed(setting)}")
    return int(match[1]) * _SUFFIX_BYTES.get(match[2], 1)


def _read_choice(setting: Setting, value: object, as_text: bool) -> str:
    if isinstance(value, str) and value in setting.choices:
        return value
    raise _RefusedError(f"expected {allowed(setting)}")


def _plain_text(setting: Setting, value: object) -> str:
    if not isinstance(value, str):
        raise _RefusedError(f"expected {allowed(setting)}")
    # Undecodable bytes of the environment arrive as lone surrogates, which no TOML file and no log can hold.
    if not value.isprintable() or any("\ud800" <= char <= "\udfff" for char in value):
        raise _RefusedError(f"expected {allowed(setting)}, in printable UTF-8")
    return value


def _read_path(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    if text and not text.startswith("/"):
        raise _RefusedError(f"expected {allowed(setting)}; ~ and $NAME are not expanded")
    return text


def _read_group(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    if text and not _GROUP.fullmatch(text):
        raise _RefusedError(f"expected {allowed(setting)}")
    return text


def _read_user(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    if not (_GROUP.fullmatch(text) or _NUMBER.fullmatch(text)):
        raise _RefusedError(f"expected {allowed(setting)}")
    return text


def _read_module(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    if not _MODULE.fullmatch(text):
        raise _RefusedError(f"expected {allowed(setting)}")
    return text


def _read_endpoint(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    if text.startswith("tcp://"):
        return _checked_tcp(setting, text)
    path = text.removeprefix("ipc://")
    if path == text or not path.startswith("/"):
        raise _RefusedError(f"expected {allowed(setting)}")
    if len(path.encode()) > IPC_PATH_BYTES_MAX:
        raise _RefusedError(
            f"the path has {len(path.encode())} bytes and a Unix socket's path holds at most {IPC_PATH_BYTES_MAX}"
        )
    return text


def _checked_tcp(setting: Setting, text: str) -> str:
    match = _TCP.fullmatch(text)
    try:
        if match is not None and int(match["port"]) <= 65_535:
            ipaddress.ip_address(match["v6"] or match["v4"])
            return text
    except ValueError:  # 300.0.0.1
        pass
    raise _RefusedError(f"expected {allowed(setting)}; a name is not looked up")


def _read_loopback(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    match = _TCP.fullmatch(f"tcp://{text}")
    try:
        if not text or (
            match is not None
            and int(match["port"]) <= 65_535
            and ipaddress.ip_address(match["v6"] or match["v4"]).is_loopback
        ):
            return text
    except ValueError:  # 300.0.0.1
        pass
    raise _RefusedError(f"expected {allowed(setting)}; other machines ask through a proxy of yours")


def _read_weight(setting: Setting, value: object, as_text: bool) -> str:
    text = _plain_text(setting, value)
    match = _WEIGHT.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= WEIGHT_MAX:
        raise _RefusedError(f"expected {allowed(setting)}")
    return text


def split_weight(item: str) -> tuple[str, int]:
    """Owner and weight of one item of ``tenants.weights``."""
    owner, _, weight = item.rpartition("=")
    return owner, int(weight)


_READERS: Final[Mapping[Kind, Callable[[Setting, object, bool], Any]]] = MappingProxyType(
    {
        "bool": _read_bool,
        "integer": _read_integer,
        "number": _read_number,
        "size": _read_size,
        "choice": _read_choice,
        "path": _read_path,
        "group": _read_group,
        "user": _read_user,
        "module": _read_module,
        "endpoint": _read_endpoint,
        "loopback": _read_loopback,
        "weight": _read_weight,
    }
)

_DESCRIBED: Final[Mapping[Kind, Callable[[Setting], str]]] = MappingProxyType(
    {
        "bool": lambda setting: "true or false",
        "integer": lambda setting: f"a whole number from {setting.minimum:g} to {setting.maximum:.0f}",
        "number": lambda setting: f"a number from {setting.minimum:g} to {setting.maximum:g} {setting.unit}".rstrip(),
        "size": lambda setting: (
            f"bytes or a size such as 512M, from {format_size(int(setting.minimum or 0))}"
            f" to {format_size(int(setting.maximum or 0))}"
        ),
        "choice": lambda setting: "one of " + ", ".join(setting.choices),
        "path": lambda setting: "an absolute path" + ("" if setting.many else " or empty"),
        "group": lambda setting: "the name of a group or empty",
        "user": lambda setting: "the name of a user, or a number in quotes",
        "module": lambda setting: "a module's dotted name",
        "endpoint": lambda setting: (
            f"ipc:// and an absolute path of at most {IPC_PATH_BYTES_MAX} bytes, or tcp://, an IP address, : and a port"
        ),
        "weight": lambda setting: (
            "a user's name or uid, key: and the name of a TCP client's key, or tenant: and the name of a tenant; ="
            f" and a whole number from 1 to {WEIGHT_MAX}"
        ),
        "loopback": lambda setting: "a loopback address and a port, such as 127.0.0.1:9464, or empty",
    }
)

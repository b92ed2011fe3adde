"""Variables travel as what they are, or are refused by name."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork.errors import ProtocolError, ValueNotCarried
from warmfork.wire.values import pack_variables, unpack_variables

hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
carried = st.recursive(
    hashable
    | st.complex_numbers(allow_nan=False)
    | st.datetimes()
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.times()
    | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(hashable, inner, max_size=4),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Equal and of the same types all the way down."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, (list, tuple)):
        return all(map(same, one, other))
    if isinstance(one, dict):
        return all(same(*pair) for pair in zip(one.items(), other.items(), strict=True))
    return True


@given(carried)
def test_values_come_back_as_what_they_are(value: Any) -> None:
    """Value and type of everything that travels survive."""
    assert same({"x": value}, unpack_variables(pack_variables({"x": value})))


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [object(), Colour.RED, collections.OrderedDict(), range(3), len, [1, {"a": object()}], {1: {2: object()}}],
)
def test_other_values_are_refused_by_name(value: Any) -> None:
    """What cannot travel as what it is raises ValueNotCarried, which names the variable; nothing becomes text."""
    with pytest.raises(ValueNotCarried, match="sales"):
        pack_variables({"sales": value})


def test_a_value_that_contains_itself_is_refused() -> None:
    """A cycle ends in a typed error, not in a crash."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ValueNotCarried, match="nests deeper"):
        pack_variables({"cycle": cycle})


@pytest.mark.parametrize("name", ["1x", "a-b", "", "a b"])
def test_names_must_be_identifiers(name: str) -> None:
    """A name that code could not use is refused."""
    with pytest.raises(ValueNotCarried, match="identifier"):
        pack_variables({name: 1})


@given(st.binary(max_size=200))
def test_any_bytes_unpack_or_raise_protocol_error(data: bytes) -> None:
    """Invariant: no bytes whatever make the decoder raise anything but ProtocolError."""
    with contextlib.suppress(ProtocolError):
        unpack_variables(data)

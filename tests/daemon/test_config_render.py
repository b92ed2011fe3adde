"""What the configuration looks like written down: TOML, manual, flags' help."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfork.errors import ConfigError
from warmfork_daemon.config import SETTINGS, Config, add_flags, load, render_table, render_toml
from warmfork_daemon.config.values import format_size

MANUAL = Path(__file__).parents[2] / "docs" / "configuration.md"


def _reload(config: Config, tmp_path: Path) -> Config:
    file = tmp_path / "rendered.toml"
    file.write_text(render_toml(config), encoding="utf-8")
    return load(path=str(file), environ={})


def test_rendered_names_every_key_once(tmp_path: Path) -> None:
    """The rendered file is TOML that holds every key of the table, each with its meaning."""
    text = render_toml(load(environ={}))
    table = tomllib.loads(text)
    flat = {key for key, value in table.items() if not isinstance(value, dict)}
    flat |= {f"{section}.{key}" for section, value in table.items() if isinstance(value, dict) for key in value}
    assert {row.key for row in SETTINGS} == flat
    assert [] == [row.key for row in SETTINGS if f"# {row.help} " not in text]
    assert Config() == _reload(Config(), tmp_path)


def test_rendered_says_origins(tmp_path: Path) -> None:
    """Each value is followed by where it came from, also when that is a file with a newline in its name."""
    odd = tmp_path / "a\nb.toml"
    odd.write_text("limits.charts_max = 4\n")
    config = load(path=str(odd), environ={"WARMFORK_LIMITS_TIMEOUT_S": "30"}, overrides={"log.level": "error"})
    lines = render_toml(config).splitlines()
    assert "timeout_s = 30.0  # env:WARMFORK_LIMITS_TIMEOUT_S" in lines
    assert 'level = "error"  # override' in lines
    assert 'memory_bytes = "1G"  # default' in lines
    assert f"charts_max = 4  # file:{tmp_path}/a?b.toml" in lines


def _values(row: Any) -> st.SearchStrategy[Any]:
    printable = st.text(st.characters(exclude_categories=("Cs", "C", "Z")), min_size=1, max_size=12)
    one: st.SearchStrategy[Any]
    match row.kind:
        case "bool":
            one = st.booleans()
        case "integer" | "size":
            one = st.integers(int(row.minimum), int(row.maximum))
        case "number":
            one = st.floats(row.minimum, row.maximum)
        case "choice":
            one = st.sampled_from(row.choices)
        case "path":
            one = printable.map(lambda text: "/" + text)
        case "endpoint":
            one = printable.map(lambda text: "ipc:///" + text)
        case "loopback":
            one = st.integers(0, 65_535).map(lambda port: f"127.0.0.1:{port}")
        case "weight":
            one = st.from_regex(r"(key:)?[a-z][a-z0-9.-]{0,8}=[1-9]", fullmatch=True)
        case "group" | "user":
            one = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}\$?", fullmatch=True)
        case _:
            one = st.from_regex(r"[^\W\d]\w{0,5}(\.[^\W\d]\w{0,5})?", fullmatch=True)
    return st.lists(one, unique=True, max_size=3) if row.many else one


# Left out: keys that a relation binds to another, so that any drawn set of the rest is a configuration.
_BOUND = ("limits.timeout_s", "limits.memory_bytes", "bytes_max", "std", "policy.default", "policy.allowed", "guard.")
_FREE = [row for row in SETTINGS if not any(word in row.key for word in _BOUND)]


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional={row.key: _values(row) for row in _FREE}))
def test_rendered_loads_back(tmp_path_factory: Any, overrides: dict[str, Any]) -> None:
    """Whatever is allowed survives being rendered and loaded."""
    config = load(environ={}, overrides=overrides)
    assert config == _reload(config, tmp_path_factory.mktemp("rendered"))


@given(st.integers(0, 1 << 46))
def test_sizes_read_back(size_bytes: int) -> None:
    """A size written short reads back as exactly the same bytes."""
    text = format_size(size_bytes)
    suffix = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1])
    assert size_bytes == (int(text) if suffix is None else int(text[:-1]) << suffix)


def test_manual_holds_the_table() -> None:
    """docs/configuration.md holds the table as it is generated."""
    assert render_table() in MANUAL.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["[limits]\ntimeout_s = 0\n", "[limits]\ntimeout = 30\n"])
def test_manual_shows_true_messages(text: str, tmp_path: Path) -> None:
    """The refusals that the manual quotes are the ones that are raised, but for the path."""
    file = tmp_path / "w.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path=str(file), environ={})
    quoted = str(caught.value).replace(str(file), "/etc/warmfork/warmfork.toml")
    assert f"    {quoted}\n" in MANUAL.read_text(encoding="utf-8")


def test_help_teaches_every_flag() -> None:
    """``--help`` names every key's flag, meaning and what is allowed."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    text = " ".join(parser.format_help().split())
    assert [] == [row.flag for row in SETTINGS if f"{row.flag} " not in text and f"{row.flag}, " not in text]
    assert [] == [row.key for row in SETTINGS if row.help not in text]

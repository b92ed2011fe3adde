"""The configuration's loader: any file, environment and override is a configuration or ``ConfigError``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.mutation import FUZZ, mutated

from warmfork.errors import ConfigError
from warmfork_daemon.config import Config, load
from warmfork_daemon.config.settings import BY_KEY

VALUES = [
    "1", "-1", "0", "1.5", "nan", "inf", "-inf", "1e400", "99999999999999999999999", "true", '""', '"512M"', '"x"', '"1e9s"',
    "[]", "[[]]", '["a", 1]', "{}", "{a = 1}", "1979-05-27", "07:32:00", '"\\u0000"', '"\\u202E"', '"a\\nb"', '"9999999T"',
]  # fmt: skip
KEYS = [
    *BY_KEY,
    "unknown",
    "limits",
    "limits.unknown",
    "system",
    '"limits.timeout_s"',
    "templates.a.python",
    "templates",
]
lines = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)).map(" = ".join)
documents = st.lists(lines, max_size=4).map("\n".join).map(str.encode)
VALID = [
    b"[limits]\ntimeout_s = 5\nmemory_bytes = '1G'\ncharts_max = 3\n",
    b"[policy]\ndefault = 'strict'\nallowed = ['strict', 'off']\n[pool]\nworkers = 2\n# text\n",
]


def loaded(path: Path, environ: dict[str, str] | None = None, overrides: dict[str, Any] | None = None) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(load(path=str(path), environ=environ or {}, overrides=overrides or {}), Config)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "warmfork.toml"


@FUZZ
@given(st.binary(max_size=100) | documents | mutated(VALID))
def test_any_file_is_a_configuration_or_a_config_error(file: Path, data: bytes) -> None:
    """Invariant: no bytes in the file make the loader raise anything but ``ConfigError``."""
    file.write_bytes(data)
    loaded(file)


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(sorted(BY_KEY)).map(lambda key: "WARMFORK_" + key.upper().replace(".", "_"))
        | st.text(max_size=9),
        st.sampled_from([value.strip('"') for value in VALUES]) | st.text(max_size=20),
        max_size=3,
    )
)
def test_any_environment_is_a_configuration_or_a_config_error(file: Path, environ: dict[str, str]) -> None:
    """Invariant: no text in the environment makes the loader raise anything but ``ConfigError``."""
    file.write_bytes(b"")
    loaded(file, environ)


odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=3)


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        odd | st.lists(odd, max_size=2) | st.dictionaries(st.text(max_size=3), odd, max_size=2),
        max_size=3,
    )
)
def test_any_override_is_a_configuration_or_a_config_error(file: Path, overrides: dict[str, Any]) -> None:
    """Invariant: no plain value of an override makes the loader raise anything but ``ConfigError``."""
    file.write_bytes(b"")
    loaded(file, None, overrides)

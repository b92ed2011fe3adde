"""The daemon's configuration: layers, refusals, relations, places."""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from warmfork.errors import ConfigError
from warmfork_daemon.config import (
    SETTINGS,
    Config,
    add_flags,
    default_runtime_dir,
    load,
    load_from_arguments,
)
from warmfork_daemon.config.places import default_file
from warmfork_daemon.config.settings import value_of


def from_flags(line: str, environ: Mapping[str, str] | None = None) -> Config:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return load_from_arguments(parser.parse_args(shlex.split(line)), environ or {})


def from_toml(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None, **overrides: Any) -> Config:
    file = tmp_path / "warmfork.toml"
    file.write_text(text, encoding="utf-8")
    return load(path=str(file), environ=environ or {}, overrides=overrides)


def test_empty_is_complete() -> None:
    """With no source at all, every key has its default and says so."""
    config = load(environ={})
    assert Config() == config
    assert [row.default for row in SETTINGS] == [value_of(config, row.key) for row in SETTINGS]
    assert {row.key: "default" for row in SETTINGS} == dict(config.origins)


def test_documented_defaults() -> None:
    """The defaults are the ones that ARCHITECTURE.md names."""
    limits = load(environ={}).limits
    assert (120.0, 1 << 30, 2.0, 1_024) == (limits.timeout_s, limits.memory_bytes, limits.cpu_factor, limits.files_max)
    assert (256 << 10, 256 << 10) == (limits.stdout_bytes, limits.stderr_bytes)
    assert (50, 16 << 20, 64 << 20, 1 << 20) == (
        limits.charts_max,
        limits.chart_bytes_max,
        limits.reply_bytes_max,
        limits.code_bytes_max,
    )
    queue = load(environ={}).queue
    assert (1_000, 256 << 20) == (queue.jobs_max, queue.bytes_max)


def test_precedence(tmp_path: Path) -> None:
    """A flag beats the environment, which beats the file, which beats the default; each key says which it was."""
    file = tmp_path / "w.toml"
    file.write_text('[limits]\ntimeout_s = 11\nmemory_bytes = "512M"\ncharts_max = 7\n')
    environ = {"WARMFORK_LIMITS_TIMEOUT_S": "12", "WARMFORK_LIMITS_MEMORY_BYTES": "256M"}
    config = from_flags(f"--config {file} --limits-timeout-s 13", environ)
    assert (13.0, 256 << 20, 7, 256) == (
        config.limits.timeout_s,
        config.limits.memory_bytes,
        config.limits.charts_max,
        config.limits.open_files_max,
    )
    assert ("flag:--limits-timeout-s", "env:WARMFORK_LIMITS_MEMORY_BYTES", f"file:{file}", "default") == (
        config.origins["limits.timeout_s"],
        config.origins["limits.memory_bytes"],
        config.origins["limits.charts_max"],
        config.origins["limits.open_files_max"],
    )


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.key)
def test_every_key_from_every_source(row: Any, tmp_path: Path) -> None:
    """Every key of the table can be set in the file, by its variable, by its flag and as an override."""
    native, text = _another_value(row)
    expected = tuple(native) if row.many else native
    toml = text if not isinstance(native, str) else f'"{text}"'
    if row.many:
        toml = "[" + ", ".join(f'"{item}"' for item in native) + "]"
    section, _, name = row.key.rpartition(".")
    head = f"[{section}]\n" if section else ""
    flag = row.flag if row.kind == "bool" and native else row.flag.replace("--", "--no-", 1)
    line = flag if row.kind == "bool" else f"{row.flag}={text}"
    assert expected != row.default
    assert expected == value_of(from_toml(tmp_path, f"{head}{name} = {toml}\n"), row.key)
    assert expected == value_of(load(environ={row.environment_name: text}), row.key)
    assert expected == value_of(from_flags(line), row.key)
    assert expected == value_of(load(environ={}, overrides={row.key: native}), row.key)


def _another_value(row: Any) -> tuple[Any, str]:
    """An allowed value that is not the default and breaks no relation: as TOML types, and as text."""
    match row.kind:
        case "bool":
            return not row.default, str(not row.default).lower()
        case "integer":
            step = 1 if row.default < row.maximum else -1
            return row.default + step, str(row.default + step)
        case "number":
            return row.default + 0.5, str(row.default + 0.5)
        case "size":
            return row.default + 1, str(row.default + 1)
    words = {
        "policy.default": "standard",
        "policy.allowed": "strict",
        "log.level": "debug",
        "log.format": "json",
        "pool.heap_memfd": "off",
        "pool.joined_mappings": "off",
        "pool.immortal_objects": "off",
        "pool.fresh_memory": "off",
        "pool.native_steps": "off",
        "pool.light": "off",
        "pool.hot_pages": "off",
        "pool.chart_shortcuts": "off",
        "metrics.listen": "127.0.0.1:9464",
        "metrics.socket_group": "agents",
        "endpoints": "ipc:///run/x.sock",
        "socket_group": "agents",
        "template.preload": "scipy.stats",
        "guard.required": "threads",
        "guard.off": "threads",
        "guard.user": "1000",
        "tenants.weights": "alice=4",
        "clients.gone": "finish",
    }
    word = words.get(row.key, "/some/where")
    return ([word] if row.many else word), word


REFUSED: dict[str, list[Any]] = {
    "limits.timeout_s": [0, -1, "120", True, float("nan"), float("inf"), [1], 10**400, {"a": 1}],
    "limits.charts_max": [-1, 1.0, 1_025, "5", False],
    "limits.memory_bytes": ["1X", "1.5G", "-1G", "", "1 GB", 1.5, 15 << 20, "65T", None, True],
    "template.rehearse": [1, "true", "yes"],
    "policy.default": ["Strict", "", 1, ["strict"]],
    "policy.allowed": ["strict", ["strict", "strict"], ["none"], [1]],
    "template.preload": [["os; import x"], [""], ["a..b"], "numpy"],
    "template.python": ["python3", "~/bin/python", "/a\nb", "/a\udc80", 3],
    "template.font_dirs": [[""], ["fonts"], "/fonts"],
    "socket_group": ["a b", "1a", 5],
    "guard.user": ["", "a b", "1a", 5, "12345678901"],
    "guard.required": [["root"], "seccomp"],
    "endpoints": [
        *(
            [f"tcp://{bad}"]
            for bad in ("127.0.0.1", "host:5", "*:5", "127.0.0.1:70000", "300.0.0.1:5", "eth0:5", "[::g]:5")
        ),
        *(
            [f"{kind}://127.0.0.1:5"]
            for kind in ("inproc", "ws", "wss", "udp", "pgm", "epgm", "vmci", "tipc", "TCP", "socks")
        ),
        ["ipc://relative"],
        ["ipc://@abstract"],
        ["ipc://*"],
        ["/run/x.sock"],
        [""],
    ],
    "log.level": ["INFO", "trace"],
    "pool.worker_nice": [-1, 20],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in REFUSED.items() for value in values])
def test_refused_value(key: str, value: object) -> None:
    """A value that is not allowed is refused with its key, the value and where it came from."""
    with pytest.raises(ConfigError) as caught:
        load(environ={}, overrides={key: value})
    message = str(caught.value)
    assert message.startswith(f"{key} = {repr(value)[:100]}")
    assert "(from override) is not allowed: " in message
    assert len(message) < 400


def test_refusal_is_one_form_for_every_source(tmp_path: Path) -> None:
    """File, variable and flag are refused in the same words, apart from where the value came from."""
    expected = "is not allowed: expected a number from 0.1 to 86400 s"
    with pytest.raises(ConfigError) as in_file:
        from_toml(tmp_path, "[limits]\ntimeout_s = 0\n")
    with pytest.raises(ConfigError) as in_variable:
        load(environ={"WARMFORK_LIMITS_TIMEOUT_S": "fast"})
    with pytest.raises(ConfigError) as in_flag:
        from_flags("--limits-timeout-s 1e9")
    assert f"limits.timeout_s = 0 (from file:{tmp_path}/warmfork.toml) {expected}" == str(in_file.value)
    assert f"limits.timeout_s = 'fast' (from env:WARMFORK_LIMITS_TIMEOUT_S) {expected}" == str(in_variable.value)
    assert f"limits.timeout_s = '1e9' (from flag:--limits-timeout-s) {expected}" == str(in_flag.value)


def test_mistake_in_file_is_not_hidden_by_a_flag(tmp_path: Path) -> None:
    """A wrong value in the file is refused also where something more important replaces it."""
    with pytest.raises(ConfigError, match=r"limits\.timeout_s = 0"):
        from_toml(tmp_path, "[limits]\ntimeout_s = 0\n", {"WARMFORK_LIMITS_TIMEOUT_S": "5"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits]\ntimeout = 5\n", "limits.timeout (from file:{}) is not a setting; the nearest is limits.timeout_s"),
        ("[limit]\ntimeout_s = 5\n", "limit (from file:{}) is not a setting; the nearest is limits"),
        ("runtimedir = '/x'\n", "runtimedir (from file:{}) is not a setting; the nearest is runtime_dir"),
        ("[limits.deep]\nx = 5\n", "limits.deep (from file:{}) is not a setting; the nearest is "),
        ("limits = 5\n", "limits = 5 (from file:{}) is not allowed: it is a section, written [limits]"),
        ("[limits.timeout_s]\nx = 1\n", "limits.timeout_s = {{'x': 1}} (from file:{}) is not allowed: "),
        ("x = \n", "the configuration file {} is not valid TOML: "),
    ],
)
def test_refused_file(text: str, expected: str, tmp_path: Path) -> None:
    """Unknown keys and malformed files are refused by name, with the nearest key that exists."""
    with pytest.raises(ConfigError) as caught:
        from_toml(tmp_path, text)
    assert str(caught.value).startswith(expected.format(tmp_path / "warmfork.toml"))


def test_unknown_variable_and_override() -> None:
    """A misspelt variable of a section and a misspelt override are refused; the client's own variables are not."""
    with pytest.raises(ConfigError, match=r"^WARMFORK_LIMITS_TIMEOUT \(from env\).*WARMFORK_LIMITS_TIMEOUT_S$"):
        load(environ={"WARMFORK_LIMITS_TIMEOUT": "5"})
    with pytest.raises(ConfigError, match=r"^queue\.job_max \(from override\).*queue\.jobs_max$"):
        load(environ={}, overrides={"queue.job_max": 5})
    assert Config() == load(environ={"WARMFORK_ADDRESS": "ipc:///x", "LIMITS_TIMEOUT_S": "0"})


@pytest.mark.parametrize(
    ("overrides", "blamed", "other"),
    [
        ({"limits.timeout_s": 601.0}, "limits.timeout_s = 601.0 (from override)", "limits.timeout_s_max is 600.0"),
        ({"limits.timeout_s_max": 60}, "limits.timeout_s_max = 60.0 (from override)", ""),
        ({"limits.memory_bytes": "9G"}, "limits.memory_bytes = 9663676416", "limits.memory_bytes_max is 8G"),
        ({"limits.chart_bytes_max": "65M"}, "limits.chart_bytes_max = ", "limits.reply_bytes_max is 64M"),
        (
            {"limits.reply_bytes_max": "16M", "limits.stdout_bytes": "16M"},
            "limits.stdout_bytes = ",
            "limits.reply_bytes_max is 16M (from override)",
        ),
        ({"queue.bytes_max": "64M"}, "queue.bytes_max = 67108864 (from override)", ""),
        ({"policy.default": "off"}, "policy.default = 'off'", "policy.allowed is ('strict', 'standard')"),
        ({"policy.allowed": ["standard"]}, "policy.allowed = ('standard',)", "policy.default is strict (from default)"),
        ({"policy.allowed": []}, "policy.allowed = ()", "policy.default must be one of policy.allowed"),
    ],
)
def test_relations(overrides: dict[str, Any], blamed: str, other: str) -> None:
    """Values that contradict each other are refused; the one that somebody wrote is named first."""
    with pytest.raises(ConfigError) as caught:
        load(environ={}, overrides=overrides)
    assert str(caught.value).startswith(blamed)
    assert other in str(caught.value)


def test_equal_is_no_contradiction() -> None:
    """A value may be as large as its maximum."""
    config = load(environ={}, overrides={"limits.timeout_s": 600, "limits.memory_bytes": "8G"})
    assert (600.0, 8 << 30) == (config.limits.timeout_s, config.limits.memory_bytes)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("16777216", 16 << 20), ("512M", 512 << 20), ("1G", 1 << 30), ("1 GiB", 1 << 30), ("20480K", 20 << 20)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    """Sizes are bytes or text in powers of 1024, the same from a file and as text."""
    assert size_bytes == load(environ={}, overrides={"limits.memory_bytes": text}).limits.memory_bytes
    assert size_bytes == load(environ={"WARMFORK_LIMITS_MEMORY_BYTES": text}).limits.memory_bytes


def test_lists_as_text() -> None:
    """As text, a list is comma-separated or a TOML array; empty text is the empty list."""
    assert ("a", "b.c") == load(environ={"WARMFORK_TEMPLATE_PRELOAD": "a, b.c"}).template.preload
    assert () == load(environ={"WARMFORK_TEMPLATE_PRELOAD": ""}).template.preload
    assert ("ipc:///a,b",) == load(environ={"WARMFORK_ENDPOINTS": '["ipc:///a,b"]'}).endpoints
    with pytest.raises(ConfigError, match="TOML array"):
        load(environ={"WARMFORK_ENDPOINTS": "[ipc"})


def test_endpoint_refusals_say_why() -> None:
    """A long path is refused for its length; 107 bytes are not too long."""
    fits = "ipc:///" + "x" * 106
    assert (fits,) == load(environ={}, overrides={"endpoints": [fits]}).endpoints
    with pytest.raises(ConfigError, match="108 bytes and a Unix socket's path holds at most 107"):
        load(environ={}, overrides={"endpoints": [fits + "x"]})
    with pytest.raises(ConfigError, match="at most 107"):
        load(environ={}, overrides={"endpoints": ["ipc:///" + "图" * 36]})


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:7070", "tcp://0.0.0.0:0", "tcp://[::1]:7070"])
@pytest.mark.parametrize("system", [True, False])
def test_tcp_without_keys_and_a_list_of_clients_is_refused(address: str, system: bool) -> None:
    """Each of the two keys that is missing is named with what makes it; with both, any IP address is taken."""
    endpoints = {"endpoints": ["ipc:///run/x.sock", address], "system": system}
    with pytest.raises(ConfigError, match=r"endpoints.*CURVE.*tcp.server_key_file.*warmfork keys server"):
        load(environ={}, overrides={**endpoints, "tcp.clients_dir": "/clients"})
    with pytest.raises(ConfigError, match=r"endpoints.*CURVE.*tcp.clients_dir.*warmfork keys client"):
        load(environ={}, overrides={**endpoints, "tcp.server_key_file": "/server.key_secret"})
    both = {"tcp.clients_dir": "/clients", "tcp.server_key_file": "/server.key_secret"}
    assert address == load(environ={}, overrides={**endpoints, **both}).endpoints[1]


def test_named_file_must_exist(tmp_path: Path) -> None:
    """A named file that is missing or unreadable is an error that says who named it; a default one is not."""
    missing = str(tmp_path / "no.toml")
    with pytest.raises(ConfigError, match=r"no\.toml named by --config does not exist"):
        load(path=missing, environ={})
    with pytest.raises(ConfigError, match=r"no\.toml named by \$WARMFORK_CONFIG does not exist"):
        load(environ={"WARMFORK_CONFIG": missing})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(path=str(tmp_path), environ={})
    assert Config() == load(environ={"XDG_CONFIG_HOME": str(tmp_path), "WARMFORK_CONFIG": ""})


def test_which_file(tmp_path: Path) -> None:
    """--config beats $WARMFORK_CONFIG, which beats the XDG place, which beats ~/.config."""
    places = ["flag.toml", "env.toml", "xdg/warmfork/warmfork.toml", "home/.config/warmfork/warmfork.toml"]
    for number, place in enumerate(places):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"limits.charts_max = {number}\n")
    home = {"HOME": str(tmp_path / "home")}
    xdg = {**home, "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    variable = {**xdg, "WARMFORK_CONFIG": str(tmp_path / "env.toml")}
    assert 3 == load(environ=home).limits.charts_max
    assert 2 == load(environ=xdg).limits.charts_max
    assert 1 == load(environ=variable).limits.charts_max
    assert 0 == load(path=str(tmp_path / "flag.toml"), environ=variable).limits.charts_max


def test_system_wide_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--system and WARMFORK_SYSTEM read the file in /etc instead of the user's."""
    assert Path("/etc/warmfork/warmfork.toml") == default_file({"HOME": "/home/x"}, system=True)
    monkeypatch.setattr("warmfork_daemon.config.places.default_file", lambda environ, system: tmp_path / f"{system}")
    (tmp_path / "True").write_text("limits.charts_max = 9\n")
    assert 9 == from_flags("--system").limits.charts_max
    assert 9 == load(environ={"WARMFORK_SYSTEM": "1"}).limits.charts_max
    assert 50 == from_flags("--no-system", {"WARMFORK_SYSTEM": "1"}).limits.charts_max


def test_default_file_ignores_relative_directories() -> None:
    """A relative XDG_CONFIG_HOME is ignored; with no home there is no default file."""
    environ = {"HOME": "/home/x", "XDG_CONFIG_HOME": "relative"}
    assert Path("/home/x/.config/warmfork/warmfork.toml") == default_file(environ, system=False)
    assert None is default_file({}, system=False)


def test_default_runtime_dir(tmp_path: Path) -> None:
    """XDG_RUNTIME_DIR, else the user's directory below /run/user if it is theirs, else the temporary directory."""
    user = str(os.getuid())
    fallback = os.path.join(tempfile.gettempdir(), f"warmfork-{user}")
    assert "/x/warmfork" == default_runtime_dir({"XDG_RUNTIME_DIR": "/x"}, False, user_root=tmp_path)
    assert "/run/warmfork" == default_runtime_dir({"XDG_RUNTIME_DIR": "/x"}, True, user_root=tmp_path)
    assert fallback == default_runtime_dir({"XDG_RUNTIME_DIR": "x"}, False, user_root=tmp_path)
    (tmp_path / user).mkdir()
    assert str(tmp_path / user / "warmfork") == default_runtime_dir({}, False, user_root=tmp_path)


def test_runtime_dir_of_somebody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory below /run/user that belongs to another user is not used."""
    stranger = os.getuid() + 1
    (tmp_path / str(stranger)).mkdir()
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    assert default_runtime_dir({}, False, user_root=tmp_path).endswith(f"/warmfork-{stranger}")


def test_pool_resolves_zero() -> None:
    """Zero stands for a number that depends on the CPUs; anything else for itself."""
    pool = load(environ={}, overrides={"pool.running_max": 3}).pool
    assert (6, 3) == (pool.resolved(4).idle_workers, pool.resolved(4).running_max)
    assert (6, 10) == (Config().pool.resolved(4).idle_workers, Config().pool.resolved(4).running_max)


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({}, 10),
        ({"pool.idle_workers": 3}, 3),
        ({"pool.running_max": 2}, 6),
        ({"pool.running_max": 9}, 9),
        ({"pool.running_max": 90}, 10),
        ({"pool.idle_workers": 3, "pool.idle_workers_max": 5}, 5),
        ({"pool.idle_workers_max": 1}, 6),
    ],
)
def test_pool_grows_where_nobody_has_fixed_it(given: dict[str, int], most: int) -> None:
    """As many as may run wait while jobs find none, unless the number or the most is given; never fewer than the number."""
    assert most == load(environ={}, overrides=given).pool.resolved(4).idle_workers_max

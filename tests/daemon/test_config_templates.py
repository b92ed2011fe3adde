"""Named templates in the configuration: read from the file or an override, judged, rendered, turned into specifications."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmfork.errors import ConfigError
from warmfork_daemon.config import Config, NamedTemplateSettings, load, render_table, render_toml, settings_of
from warmfork_daemon.config.named import NAMED_TEMPLATE_SETTINGS
from warmfork_daemon.templates import template_names, template_specs

TWO = """
[template]
font_dirs = ["/own"]
[templates.stats]
python = "/opt/venv/bin/python"
preload = ["scipy", "sklearn"]
idle_workers = 2
font_dirs = ["/theirs"]
[templates.light]
base = "none"
"""


def from_toml(tmp_path: Path, text: str, **overrides: Any) -> Config:
    file = tmp_path / "w.toml"
    file.write_text(text)
    return load(path=str(file), environ={}, overrides=overrides)


def test_none_by_default() -> None:
    """Without a section there is the default template alone."""
    assert ({}, ("science",)) == (dict(Config().templates), template_names(Config()))


def test_each_section_is_a_template(tmp_path: Path) -> None:
    """Sections are read in order; what one does not say is the default; the origin of each key is told."""
    config = from_toml(tmp_path, TWO)
    expected = {
        "stats": NamedTemplateSettings(
            python="/opt/venv/bin/python", preload=("scipy", "sklearn"), idle_workers=2, font_dirs=("/theirs",)
        ),
        "light": NamedTemplateSettings(base="none"),
    }
    assert expected == dict(config.templates)
    assert f"file:{tmp_path / 'w.toml'}" == config.origins["templates.light.base"]
    assert ("science", "stats", "light") == template_names(config)


def test_an_empty_section_is_a_template(tmp_path: Path) -> None:
    """A section without a key is a template with every default."""
    assert {"plain": NamedTemplateSettings()} == dict(from_toml(tmp_path, "[templates.plain]\n").templates)


def test_an_override_adds_to_the_file(tmp_path: Path) -> None:
    """A program can describe a template, or one key of a template that the file describes."""
    config = from_toml(tmp_path, TWO, **{"templates.light.idle_workers": 3, "templates.more.base": "none"})
    assert NamedTemplateSettings(base="none", idle_workers=3) == config.templates["light"]
    assert NamedTemplateSettings(base="none") == config.templates["more"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[templates.a]\nbase = 'numpy'",
            "templates.a.base = 'numpy' (from {}) is not allowed: expected one of science, none",
        ),
        (
            "[templates.a]\nidle_workers = 0",
            "templates.a.idle_workers = 0 (from {}) is not allowed: expected a whole number",
        ),
        (
            "[templates.a]\npython = 'python3'",
            "templates.a.python = 'python3' (from {}) is not allowed: expected an absolute",
        ),
        (
            "[templates.a]\nprelaod = []",
            "templates.a.prelaod (from {}) is not a setting; the nearest is templates.a.preload",
        ),
        ("[templates.a.deep]\nx = 1", "templates.a.deep (from {}) is not a setting; the nearest is templates.a."),
        ("[templates.Stats]", "templates = 'Stats' (from {}) is not allowed: expected a name of at most 32 of a-z"),
        ("[templates.'a.b']", "templates = 'a.b' (from {}) is not allowed: expected a name"),
        (f"[templates.{'a' * 33}]", f"templates = '{'a' * 33}' (from {{}}) is not allowed: expected a name"),
        (
            "[templates.science]",
            "templates = 'science' (from {}) is not allowed: science is the default template, which",
        ),
        (
            "templates = 5",
            "templates = 5 (from {}) is not allowed: each further template is a section, written [templates.",
        ),
        (
            "[templates]\nlight = 'none'",
            "templates.light = 'none' (from {}) is not allowed: each further template is a",
        ),
        ("[[templates.a]]", "templates.a = [{{}}] (from {}) is not allowed: each further template is a section"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    """A mistake names the key, the value, where it is from, and what is allowed or nearest."""
    with pytest.raises(ConfigError) as caught:
        from_toml(tmp_path, text)
    assert str(caught.value).startswith(message.format(f"file:{tmp_path / 'w.toml'}"))


def test_there_are_not_too_many() -> None:
    """Fifteen further templates are allowed, sixteen are refused."""
    overrides = {f"templates.t{number}.idle_workers": 1 for number in range(16)}
    with pytest.raises(ConfigError, match=r"^templates = .* \(from override\).*at most 15 further templates"):
        load(environ={}, overrides=overrides)
    del overrides["templates.t0.idle_workers"]
    assert 15 == len(load(environ={}, overrides=overrides).templates)


def test_no_variable_describes_a_template() -> None:
    """A variable that looks like one is refused and not overlooked."""
    with pytest.raises(ConfigError, match=r"^WARMFORK_TEMPLATES_LIGHT_BASE \(from env\).*in the file alone"):
        load(environ={"WARMFORK_TEMPLATES_LIGHT_BASE": "none"})


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True).filter(lambda name: name != "science")
KEYS = st.fixed_dictionaries(
    {"base": st.sampled_from(["science", "none"])},
    optional={
        "python": st.just("/usr/bin/python3"),
        "preload": st.lists(st.sampled_from(["scipy", "a.b", "_x"]), unique=True),
        "rehearse": st.booleans(),
        "font_dirs": st.lists(st.sampled_from(["/a", "/b c", "/数"]), unique=True),
        "start_timeout_s": st.floats(1, 3_600),
        "idle_workers": st.integers(1, 1_024),
    },
)


@settings(max_examples=40, deadline=None)
@given(templates=st.dictionaries(NAMES, KEYS, max_size=3))
def test_rendered_loads_back(tmp_path_factory: Any, templates: dict[str, dict[str, Any]]) -> None:
    """Whatever templates there are, the rendered configuration loads back to the same."""
    overrides = {f"templates.{name}.{key}": value for name, keys in templates.items() for key, value in keys.items()}
    config = load(environ={}, overrides=overrides)
    assert set(templates) == set(config.templates)
    file = tmp_path_factory.mktemp("rendered") / "w.toml"
    file.write_text(render_toml(config), encoding="utf-8")
    assert config == load(path=str(file), environ={})


def test_the_manual_has_every_key() -> None:
    """The table holds a row for each key, for all names at once."""
    rows = [line for line in render_table().splitlines() if line.startswith("| `templates.NAME.")]
    assert [row.key for row in NAMED_TEMPLATE_SETTINGS] == [line.split("`")[1] for line in rows]


def test_specifications(tmp_path: Path) -> None:
    """The default template comes first, with the pool's idle workers; another's own font directories go first."""
    science, stats, light = template_specs(from_toml(tmp_path, TWO, **{"pool.idle_workers": 7}))
    assert ("science", "science", 7, ("/own",)) == (science.name, science.base, science.idle_workers, science.font_dirs)
    assert ("stats", 2, ("/theirs", "/own")) == (stats.name, stats.idle_workers, stats.font_dirs)
    assert ("light", "none", 1) == (light.name, light.base, light.idle_workers)
    assert [False, True, False] == [spec.is_foreign for spec in (science, stats, light)]


def test_the_daemons_own_interpreter_is_not_foreign() -> None:
    """Named in full, the daemon's own interpreter is treated like none."""
    config = load(environ={}, overrides={"templates.own.python": sys.executable})
    assert not template_specs(config)[1].is_foreign


def test_settings_for_a_private_daemon(tmp_path: Path) -> None:
    """One template goes over to a daemon that reads no file; light is known anyway, unless it is described otherwise."""
    config = from_toml(tmp_path, TWO)
    assert {"stats": config.templates["stats"]} == dict(
        load(environ={}, overrides=settings_of(config, "stats")).templates
    )
    assert {"templates.light.base": "none"} == settings_of(Config(), "light")
    other = from_toml(tmp_path, "[templates.light]\npreload = ['csv']\n")
    assert "science" == settings_of(other, "light")["templates.light.base"]
    assert {} == settings_of(config, "nobody")

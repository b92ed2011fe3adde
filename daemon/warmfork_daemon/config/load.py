"""Lay the sources over each other, least important first: defaults, file, environment, then flags or overrides.

A source is a list of ``Given``: key, value, origin. Later ones win; every one is judged, also one that a later source
replaces, so that a mistake in a file is not hidden by a flag.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from warmfork.errors import ConfigError
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork_daemon.config import places
from warmfork_daemon.config.declare import Setting
from warmfork_daemon.config.named import TEMPLATE_NAME, NamedTemplateSettings, rows_of
from warmfork_daemon.config.relations import check_relations
from warmfork_daemon.config.settings import BY_ENVIRONMENT_NAME, BY_KEY, SECTIONS, Config
from warmfork_daemon.config.values import read_value, refusal

FILE_VARIABLE: Final = "WARMFORK_CONFIG"
_FILE_BYTES_MAX: Final = 65_536  # a parser's time grows with the square of some texts
_TEMPLATES: Final = "templates"
_TEMPLATES_VARIABLE: Final = "WARMFORK_TEMPLATES"
_SECTION_PREFIXES: Final = tuple(f"WARMFORK_{name.upper()}_" for name in SECTIONS)


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody gave it.

    Attributes:
        key: dotted name, not yet known to exist.
        value: as TOML or the caller typed it, or text.
        origin: ``file:PATH``, ``env:NAME``, ``flag:--name`` or ``override``.
        as_text: True where the source knows text alone.
    """

    key: str
    value: object
    origin: str
    as_text: bool = False


_NO_OVERRIDES: Final[Mapping[str, Any]] = MappingProxyType({})


def load(
    *, path: str | None = None, environ: Mapping[str, str], overrides: Mapping[str, Any] = _NO_OVERRIDES
) -> Config:
    """The effective configuration.

    Parameters:
        path: configuration file; it must exist. None: ``$WARMFORK_CONFIG``, which must exist, else the default place,
            which need not.
        environ: the environment to read; usually ``os.environ``.
        overrides: dotted key -> value, above everything else; values typed as in TOML (lists may be tuples).

    Raises ConfigError for an unreadable file, an unknown key, a value that is not allowed, and a contradiction.
    """
    given = [Given(key, value, "override") for key, value in overrides.items()]
    return load_with(path=path, environ=environ, above=given)


def load_with(*, path: str | None, environ: Mapping[str, str], above: Iterable[Given]) -> Config:
    """``load`` with the topmost source given as it is; for flags."""
    on_top = [*_from_environment(environ), *above]
    judged_on_top = _judge(on_top)
    system = bool(judged_on_top.get("system", (False, ""))[0])
    judged = {**_judge(_from_file(path, environ, system)), **judged_on_top}
    config = _build(judged)
    check_relations(config)
    return config


def _judge(given: Iterable[Given]) -> dict[str, tuple[Any, str]]:
    """key -> (value, origin); of several for one key the last. Raises ConfigError."""
    judged: dict[str, tuple[Any, str]] = {}
    for one in given:
        setting = BY_KEY.get(one.key) or _named_template_row(one)
        judged[one.key] = (read_value(setting, one.value, one.origin, as_text=one.as_text), one.origin)
    return judged


def _named_template_row(one: Given) -> Setting:
    """The row of ``templates.NAME.KEY``. Raises ConfigError for another name or key than there may be."""
    section, _, rest = one.key.partition(".")
    name = rest.rpartition(".")[0]
    if section != _TEMPLATES or not name:
        raise _unknown(one.key, one.origin)
    if not TEMPLATE_NAME.fullmatch(name):
        reason = "expected a name of at most 32 of a-z, 0-9, _ and -, a letter first"
        raise refusal(_TEMPLATES, name, one.origin, reason)
    if name == TEMPLATE_DEFAULT:
        reason = f"{TEMPLATE_DEFAULT} is the default template, which the section [template] describes"
        raise refusal(_TEMPLATES, name, one.origin, reason)
    rows = {row.key: row for row in rows_of(name)}
    if one.key not in rows:
        raise ConfigError(f"{one.key} (from {one.origin}) is not a setting; the nearest is {_nearest(one.key, rows)}")
    return rows[one.key]


def _from_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    for name, text in sorted(environ.items()):
        if name in BY_ENVIRONMENT_NAME:
            yield Given(BY_ENVIRONMENT_NAME[name].key, text, f"env:{name}", as_text=True)
        elif name.startswith(_TEMPLATES_VARIABLE):
            raise ConfigError(f"{name} (from env) is not a setting; named templates are described in the file alone")
        elif name.startswith(_SECTION_PREFIXES):
            # Only names inside a section can be misspelt settings; WARMFORK_ADDRESS and others belong to the client.
            nearest = _nearest(name, BY_ENVIRONMENT_NAME)
            raise ConfigError(f"{name} (from env) is not a setting; the nearest is {nearest}")


def _from_file(path: str | None, environ: Mapping[str, str], system: bool) -> Iterator[Given]:
    named = path if path is not None else environ.get(FILE_VARIABLE) or None
    place = Path(named) if named is not None else places.default_file(environ, system)
    if place is None:
        return
    try:
        with place.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
        if len(text) > _FILE_BYTES_MAX:
            raise ConfigError(f"the configuration file {place} has more than {_FILE_BYTES_MAX} bytes")
        table = tomllib.loads(text.decode())
    except FileNotFoundError:
        if named is None:
            return
        asked_by = "--config" if path is not None else f"${FILE_VARIABLE}"
        raise ConfigError(f"the configuration file {place} named by {asked_by} does not exist") from None
    except OSError as error:
        raise ConfigError(f"the configuration file {place} cannot be read: {error.strerror or error}") from error
    except RecursionError:
        raise ConfigError(f"the configuration file {place} is nested too deeply") from None
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"the configuration file {place} is not valid TOML: {error}") from error
    yield from _flatten(table, "", f"file:{place}")


def _flatten(table: Mapping[str, Any], prefix: str, origin: str) -> Iterator[Given]:
    for name, value in table.items():
        key = prefix + name
        if key == _TEMPLATES:
            yield from _flatten_templates(value, origin)
        elif isinstance(value, dict) and key not in BY_KEY:
            if key not in SECTIONS:
                raise _unknown(key, origin)
            yield from _flatten(value, f"{key}.", origin)
        elif key in SECTIONS:
            raise ConfigError(f"{key} = {value!r} (from {origin}) is not allowed: it is a section, written [{key}]")
        else:
            yield Given(key, value, origin)


def _flatten_templates(templates: object, origin: str) -> Iterator[Given]:
    sections = templates.items() if isinstance(templates, dict) else [("", templates)]
    for name, section in sections:
        if not isinstance(section, dict):
            reason = f"each further template is a section, written [{_TEMPLATES}.NAME]"
            raise refusal(f"{_TEMPLATES}.{name}".rstrip("."), section, origin, reason)
        # A section without a key is a template too, with every default.
        keys = section or {"base": NamedTemplateSettings().base}
        yield from (Given(f"{_TEMPLATES}.{name}.{key}", value, origin) for key, value in keys.items())


def _unknown(key: str, origin: str) -> ConfigError:
    return ConfigError(f"{key} (from {origin}) is not a setting; the nearest is {_nearest(key, [*BY_KEY, *SECTIONS])}")


def _nearest(name: str, known: Iterable[str]) -> str:
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def _build(judged: Mapping[str, tuple[Any, str]]) -> Config:
    origins = {key: judged[key][1] if key in judged else "default" for key in BY_KEY}
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    templates: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for key, (value, origin) in judged.items():
        section, dot, name = key.partition(".")
        if section == _TEMPLATES:
            template, _, name = name.partition(".")
            templates.setdefault(template, {})[name] = value
            origins[key] = origin
        else:
            (sections[section] if dot else top)[name if dot else key] = value
    records = {name: SECTIONS[name](**values) for name, values in sections.items()}
    named = {name: NamedTemplateSettings(**values) for name, values in templates.items()}
    config = Config(origins=MappingProxyType(origins), templates=MappingProxyType(named))
    return dataclasses.replace(config, **top, **records)

"""Gives matplotlib a font with Chinese glyphs, under every name that such code asks for, on a machine that has none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final, Literal

from warmfork_worker.font_faces import keep_faces_over_fork
from warmfork_worker.font_fallback import append_to_every_text, append_to_mathtext
from warmfork_worker.font_names import SANS_NAMES, SERIF_NAMES, SYSTEM_FAMILIES

FontSource = Literal["operator", "package", "system", "none"]

OPERATOR_FILE: Final = "kt_font.ttf"
PACKAGE: Final = "pylopdf_fonts_zh_cn"


@dataclass(frozen=True, slots=True)
class FontReport:
    """Which font gives the Chinese glyphs.

    Attributes:
        family: its family name; empty with source ``none``.
        path: its file; empty with source ``none``.
        source: ``operator`` (a ``kt_font.ttf``), ``package``, ``system``, or ``none`` when no such font was found.
        aliases: the names that now lead to it and were not installed on this machine.
        problems: one sentence for each candidate that was there and could not be used.
    """

    family: str = ""
    path: str = ""
    source: FontSource = "none"
    aliases: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    source: FontSource
    sans: Any  # matplotlib's FontEntry
    serif: Any


class AnyWeight(int):
    """Weight 400 that equals every weight asked for: matplotlib warns of a bold title in a font that has no bold."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (int, float))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


def install_fonts(font_dirs: Sequence[str]) -> FontReport:
    """Register a CJK font, make it the last resort of every text, and let the usual names lead to it.

    Args:
        font_dirs: directories to search for an operator's ``kt_font.ttf``, first match wins.

    Returns what was chosen; with source ``none`` nothing was changed. rcParams are left alone. Calling it again
    chooses anew. Raises ImportError where matplotlib is missing.
    """
    manager = import_module("matplotlib.font_manager").fontManager
    _drop_aliases(manager, None)
    problems: list[str] = []
    choice = _choose(manager, font_dirs, problems)
    if choice is None:
        return FontReport(problems=tuple(problems))
    aliases = _add_aliases(manager, choice)
    _let_added_fonts_win(manager)
    last = _last_resorts(manager, choice)
    append_to_every_text(last, choice.sans.name)
    append_to_mathtext(last)
    keep_faces_over_fork()
    return FontReport(choice.sans.name, str(choice.sans.fname), choice.source, aliases, tuple(problems))


def _choose(manager: Any, font_dirs: Sequence[str], problems: list[str]) -> _Choice | None:
    for directory in font_dirs:
        path = os.path.join(directory, OPERATOR_FILE)
        if os.path.isfile(path) and (entry := _register(manager, path, problems)) is not None:
            return _Choice("operator", entry, entry)
    sans, serif = (_register(manager, path, problems) if path else None for path in _package_files())
    if sans is not None:
        return _Choice("package", sans, serif if serif is not None else sans)
    for family in SYSTEM_FAMILIES:
        for entry in manager.ttflist:
            if entry.name == family and os.path.isfile(entry.fname):
                return _Choice("system", entry, entry)
    return None


def _package_files() -> tuple[str, str]:
    try:
        package = import_module(PACKAGE)
        return str(package.sans_path()), str(package.serif_path())
    except (ImportError, AttributeError):
        return "", ""


def _register(manager: Any, path: str, problems: list[str]) -> Any:
    """The font manager's entry for the file at ``path``, added where it was not known; None where it is no font."""
    path = os.path.realpath(path)
    if all(entry.fname != path for entry in manager.ttflist):
        try:
            manager.addfont(path)
        except Exception as error:  # FreeType's own RuntimeError, or whatever a damaged name table leads to.
            problems.append(f"{path} could not be used as a font: {error}")
            return None
    place = next(place for place, entry in enumerate(manager.ttflist) if entry.fname == path)
    manager.ttflist[place] = replace(manager.ttflist[place], weight=AnyWeight(400))
    return manager.ttflist[place]


def _add_aliases(manager: Any, choice: _Choice) -> tuple[str, ...]:
    installed = {entry.name.casefold() for entry in manager.ttflist}
    aliases = [
        replace(entry, name=name, weight=AnyWeight(400))
        for names, entry in ((SANS_NAMES, choice.sans), (SERIF_NAMES, choice.serif))
        for name in names
        if name.casefold() not in installed
    ]
    manager.ttflist.extend(aliases)
    manager.warmfork_aliases = aliases
    manager._findfont_cached.cache_clear()
    return tuple(entry.name for entry in aliases)


def _drop_aliases(manager: Any, name: str | None) -> None:
    """Take back the alias ``name``, or all of them with None."""
    aliases = getattr(manager, "warmfork_aliases", [])
    gone = {id(entry) for entry in aliases if name is None or entry.name.casefold() == name.casefold()}
    manager.warmfork_aliases = [entry for entry in aliases if id(entry) not in gone]
    manager.ttflist[:] = [entry for entry in manager.ttflist if id(entry) not in gone]


def _let_added_fonts_win(manager: Any) -> None:
    """Let a font that a job adds under its real name take the place of the alias of that name."""
    original = type(manager).addfont.__get__(manager)

    def addfont(path: Any) -> None:
        known = len(manager.ttflist)
        original(path)
        for entry in manager.ttflist[known:]:
            _drop_aliases(manager, entry.name)

    manager.addfont = addfont


def _last_resorts(manager: Any, choice: _Choice) -> list[Any]:
    """The fonts that end every text's list, in matplotlib's own type for a font file.

    DejaVu Sans stands behind the CJK font for what that one lacks: an old SimHei has no minus sign. Behind an
    operator's font stands the package's, for characters outside its character set.
    """
    fallbacks = [choice.sans]
    fallbacks += [entry for entry in manager.ttflist if os.path.basename(entry.fname) == "DejaVuSans.ttf"][:1]
    if choice.source != "package" and (path := _package_files()[0]):
        fallbacks.append(_register(manager, path, []))
    return [_font_path(entry) for entry in fallbacks if entry is not None]


def _font_path(entry: Any) -> Any:
    # By file and not by family: an operator's font may be another cut of the package's family.
    font_path = getattr(import_module("matplotlib.font_manager"), "FontPath", None)
    path = os.path.realpath(entry.fname)
    return path if font_path is None else font_path(path, entry.index)

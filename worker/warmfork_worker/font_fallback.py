"""Makes a CJK font the last resort of every text, glyph by glyph, without touching rcParams.

Plain text: ``FontManager._find_fonts_by_props`` gives each text its list of font files, and FreeType takes each glyph
from the first file that has it. With the CJK file always last in that list, whatever family is set and however often
styles reset it, Latin glyphs come from where they always came from.

Mathtext (a string with ``$…$``) has its own search, which ends in the STIX fonts and then a dummy glyph. There the
CJK file steps in just before the dummy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from typing import Any

_PRIVATE_USE = range(0xE000, 0xF900)


def append_to_every_text(paths: Sequence[Any], family: str) -> bool:
    """Make ``paths`` (as ``findfont`` gives them) the last fonts of every text, in this order.

    Returns True when that holds per glyph for every family. False where this matplotlib lacks the method that is
    wrapped: then ``family`` is appended to ``rcParams["font.family"]``, which a style may undo.
    """
    manager = import_module("matplotlib.font_manager").fontManager
    original = getattr(manager, "_find_fonts_by_props", None)
    if original is None:
        rc = import_module("matplotlib").rcParams
        rc["font.family"] = [*(name for name in rc["font.family"] if name != family), family]
        return False
    manager._find_fonts_by_props = _with_last(getattr(original, "__wrapped__", original), tuple(paths))
    return True


def _with_last(original: Callable[..., list[Any]], last: tuple[Any, ...]) -> Callable[..., list[Any]]:
    @wraps(original)
    def find_fonts_by_props(prop: Any, fontext: str = "ttf", *args: Any, **kwargs: Any) -> list[Any]:
        found = original(prop, fontext, *args, **kwargs)
        return found if fontext != "ttf" else found + [path for path in last if path not in found]

    return find_fonts_by_props


def append_to_mathtext(paths: Sequence[Any]) -> bool:
    """Let mathtext take characters that none of its fonts has from the first of ``paths`` that does.

    Returns False, with nothing changed, where this matplotlib's mathtext is built differently.
    """
    mathtext: Any = import_module("matplotlib._mathtext")
    fonts = getattr(mathtext, "UnicodeFonts", None)
    original = getattr(fonts, "_get_glyph", None)
    if fonts is None or original is None:
        return False
    fonts._get_glyph = _with_missing_from(getattr(original, "__wrapped__", original), tuple(paths))
    return True


def _with_missing_from(original: Callable[..., Any], paths: tuple[Any, ...]) -> Callable[..., Any]:
    get_font = import_module("matplotlib.font_manager").get_font

    @wraps(original)
    def _get_glyph(self: Any, fontname: str, font_class: str, sym: str) -> Any:
        # Every chain of mathtext fonts ends in one without a fallback: only there is a glyph known to be missing.
        if getattr(self, "_fallback_font", None) is None and _may_be_missing(sym) and not _has(self, fontname, sym):
            for path in paths:
                font = get_font(path)
                if font.get_char_index(ord(sym)) != 0:
                    return font, ord(sym), False
        return original(self, fontname, font_class, sym)

    return _get_glyph


def _may_be_missing(sym: str) -> bool:
    # The private use area is where STIX keeps letter shapes of its own.
    return len(sym) == 1 and ord(sym) > 0x7F and ord(sym) not in _PRIVATE_USE


def _has(fonts: Any, fontname: str, sym: str) -> bool:
    candidates = (fonts._get_font(name) for name in (fontname, "rm"))
    return any(font is not None and font.get_char_index(ord(sym)) != 0 for font in candidates)

"""Measures and lays out each text once: matplotlib asks for the same layout ten times and more in one tight picture.

A layout is a function of the text's own settings, its font's, the fonts that are known and the renderer. Every setting is
read anew each time, through the text's own methods, so that whatever changes one (a job's own subclass, too) is seen. A
layout is kept with its renderer, as matplotlib itself keeps the widths it measured; widths of plain ASCII are kept from one
renderer to the next as well. What would warn (a missing glyph or family) is never kept: it warns as often as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Final

_KEPT_MAX: Final = 4_096  # of each kind; matplotlib keeps as many widths for a renderer
_KEPT: Final = "_warmfork_layouts"
_FONT_SETTINGS: Final = tuple(
    f"font.{name}"
    for name in (
        *("family", "style", "variant", "weight", "stretch", "size"),
        *("serif", "sans-serif", "cursive", "fantasy", "monospace"),
    )
)
_MEASURING_SETTINGS: Final = ("text.hinting", "text.kerning_factor", "font.enable_last_resort")


def keep_layouts() -> bool:
    """Let matplotlib's texts remember their layouts. False, with nothing changed, where it is built otherwise (before 3.11)."""
    text: Any = import_module("matplotlib.text")
    agg: Any = import_module("matplotlib.backends.backend_agg").RendererAgg
    fonts: Any = import_module("matplotlib.font_manager")
    rc: Any = import_module("matplotlib").rcParams
    if hasattr(text.Text._get_layout, "warmfork_keeps"):
        return True
    built_as_known = (
        hasattr(text, "_get_text_metrics_with_cache"),
        hasattr(fonts.FontManager, "_find_fonts_by_props"),
        hasattr(agg, "_prepare_font"),
        all(name in rc for name in (*_FONT_SETTINGS, *_MEASURING_SETTINGS)),
    )
    if not all(built_as_known):
        return False  # layouts may depend on more than is looked at here
    manager = fonts.fontManager
    keys = _FontKeys(fonts, rc, manager._find_fonts_by_props)
    _known.append(keys)
    manager._find_fonts_by_props = _keeping_fonts(manager._find_fonts_by_props, keys)
    text.Text._get_layout = _keeping_layouts(text.Text._get_layout, text, agg, keys)
    text.Text._get_layout.warmfork_keeps = True
    agg.get_text_width_height_descent = _keeping_widths(agg.get_text_width_height_descent, keys, rc)
    return True


def measures_quietly(text: Any) -> bool:
    """Whether measuring ``text`` once more could tell nobody anything: nothing is logged of its font."""
    return bool(_known) and _known[-1].key_of(text._fontproperties) is not None


class _FontKeys:
    """Names the fonts that a text is drawn with, as far as that can be told and will stay so."""

    def __init__(self, fonts: Any, rc: Any, find: Callable[..., Any]) -> None:
        self._fonts = fonts
        self._find = find
        self._rc = rc
        self._sound: dict[Any, bool] = {}
        self._own_class = fonts.FontProperties

    def key_of(self, font: Any) -> Any:
        """Whatever decides on the fonts of ``font``; None where each look for them has to be made."""
        if type(font) is not self._own_class:
            return None
        raw, rc, manager = dict.__getitem__, self._rc, self._fonts.fontManager
        entries = manager.ttflist
        settings = [raw(rc, name) for name in _FONT_SETTINGS]
        key = (
            *[tuple(value) if type(value) is list else value for value in font.__dict__.values()],
            *[tuple(value) if type(value) is list else value for value in settings],
            id(manager),
            len(entries),
            entries[-1] if entries else None,
        )
        sound = self._sound.get(key)
        if sound is None:
            if len(self._sound) >= _KEPT_MAX:
                self._sound.clear()
            sound = self._sound[key] = self._is_sound(manager, font)
        return key if sound else None

    def _is_sound(self, manager: Any, font: Any) -> bool:
        """Whether the fonts come from the list, none of its families is missing, and the first has all of ASCII."""
        if font.get_file() is not None:
            return False  # there may be another font in this file the next time
        for family in font.get_family():
            one = font.copy()
            one.set_family(family)
            try:
                manager.findfont(one, fallback_to_default=False)
            except ValueError:
                return False
        first = self._fonts.get_font(self._find(font)[:1])
        return all(first.get_char_index(code) for code in range(0x20, 0x7F))


_known: Final[list[_FontKeys]] = []


def _keeping_fonts(original: Callable[..., Any], keys: _FontKeys) -> Any:
    kept: dict[Any, Any] = {}

    @wraps(original)
    def _find_fonts_by_props(prop: Any, *args: Any, **kwargs: Any) -> Any:
        key = None if args or kwargs else keys.key_of(prop)
        if key is None:
            return original(prop, *args, **kwargs)
        found = kept.get(key)
        if found is None:
            if len(kept) >= _KEPT_MAX:
                kept.clear()
            found = kept[key] = tuple(original(prop))
        return list(found)

    return _find_fonts_by_props


def _keeping_layouts(original: Callable[..., Any], module: Any, renderer_class: type, keys: _FontKeys) -> Any:
    bbox_class, own_preprocess = module.Bbox, module.Text._preprocess_math

    def key_of(text: Any) -> Any:
        """Whatever a layout depends on; None where that is not known."""
        if text.get_usetex() or type(text)._preprocess_math is not own_preprocess:
            return None
        font_key = keys.key_of(text._fontproperties)
        return font_key and (
            text._get_wrapped_text(),
            text.get_parse_math(),
            text.get_rotation(),
            text.get_rotation_mode(),
            text._get_multialignment(),
            text._horizontalalignment,
            text._verticalalignment,
            text._linespacing,
            text.get_figure(root=True).dpi,
            font_key,
        )

    @wraps(original)
    def _get_layout(self: Any, renderer: Any) -> Any:
        key = key_of(self) if type(renderer) is renderer_class else None
        if key is None:
            return original(self, renderer)
        kept = renderer.__dict__.setdefault(_KEPT, {})
        found = kept.get(key)
        if found is None:
            bbox, lines, box = original(self, renderer)
            if len(kept) >= _KEPT_MAX:
                kept.clear()
            kept[key] = found = (bbox.get_points(), tuple(lines), box)
        points, lines, box = found
        return bbox_class(points.copy()), list(lines), box

    return _get_layout


def _keeping_widths(original: Callable[..., Any], keys: _FontKeys, rc: Any) -> Any:
    raw = dict.__getitem__
    kept: dict[Any, Any] = {}

    @wraps(original)
    def get_text_width_height_descent(self: Any, s: Any, prop: Any, ismath: Any) -> Any:
        font_key = None
        if ismath is False and type(s) is str and s.isascii() and s.isprintable():
            font_key = keys.key_of(prop)
        if font_key is None:
            return original(self, s, prop, ismath)
        key = (s, self.dpi, font_key, *[raw(rc, name) for name in _MEASURING_SETTINGS])
        found = kept.get(key)
        if found is None:
            if len(kept) >= _KEPT_MAX:
                kept.clear()
            found = kept[key] = original(self, s, prop, ismath)
        return found

    return get_text_width_height_descent

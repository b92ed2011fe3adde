"""What matplotlib is given before any job draws: in the template, or in a worker that comes to need it late."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from warmfork_worker.fonts import FontReport, install_fonts
from warmfork_worker.png import write_charts_fast
from warmfork_worker.saved_figures import watch_saves
from warmfork_worker.text_layout import keep_layouts
from warmfork_worker.tick_passes import find_ticks_once

_shortcuts_wanted = True


def want_shortcuts(wanted: bool) -> None:
    """Whether matplotlib is to be shown how to draw the same with less work, in this process and those forked from it."""
    global _shortcuts_wanted
    _shortcuts_wanted = wanted


def prepare_drawing(font_dirs: Sequence[str]) -> FontReport | None:
    """Fonts, a watch over saved figures, and shortcuts. None where matplotlib did not load.

    Args:
        font_dirs: as for ``install_fonts``.
    """
    if "matplotlib.figure" not in sys.modules:
        return None
    report = install_fonts(font_dirs)
    watch_saves()
    if _shortcuts_wanted:
        keep_layouts()
        find_ticks_once()
        write_charts_fast()
    return report

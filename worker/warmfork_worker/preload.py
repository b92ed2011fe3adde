"""Imports the libraries that jobs use, once, in the template: a missing or broken one never stops the others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

# What jobs ask for by name, then what those libraries import lazily in the middle of a first chart, table or PDF.
DEFAULT_PRELOAD: Final[tuple[str, ...]] = (
    "numpy",
    "pandas",
    "matplotlib",
    "matplotlib.pyplot",
    "seaborn",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_ps",
    "matplotlib.animation",
    "mpl_toolkits.mplot3d",
    "mpl_toolkits.axes_grid1",
    "pandas.plotting._matplotlib",
    "contourpy",
    "fontTools.subset",
    "fontTools.misc.bezierTools",
    "fontTools.varLib.iup",
    "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.GifImagePlugin",
    "asyncio",
    "bz2",
    "csv",
    "decimal",
    "encodings.gb18030",
    "encodings.idna",
    "encodings.latin_1",
    "fractions",
    "lzma",
    "sqlite3",
    "statistics",
    "uuid",
    "xml.etree.ElementTree",
    "zoneinfo",
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One module of the preload list.

    Attributes:
        name: the module's dotted name as asked for.
        version: its ``__version__``; empty where it has none or did not load.
        seconds: wall time of the import, what it imported in turn included.
        error: ``"Type: message"`` of the exception that stopped it; empty when it loaded.
    """

    name: str
    version: str
    seconds: float
    error: str


def preload(modules: Sequence[str] = DEFAULT_PRELOAD) -> tuple[Loaded, ...]:
    """Import ``modules`` in order and select matplotlib's Agg backend as soon as matplotlib is there.

    Returns one record per module, in order. An ``Exception`` or ``SystemExit`` raised by an import is recorded in its
    ``error`` and goes no further.
    """
    return tuple(_load(name) for name in modules)


def single_threaded() -> bool:
    """True when this process has one thread by the kernel's count; ``threading`` does not see native pools."""
    return len(os.listdir("/proc/self/task")) == 1


def _load(name: str) -> Loaded:
    started = time.perf_counter()
    version = error = ""
    try:
        module = import_module(name)
        if name.partition(".")[0] in ("matplotlib", "seaborn", "mpl_toolkits"):
            _select_agg()
        found = getattr(module, "__version__", "")
        version = found if isinstance(found, str) else ""
    except (Exception, SystemExit) as caught:
        error = f"{type(caught).__name__}: {caught}"
    return Loaded(name, version, time.perf_counter() - started, error)


def _select_agg() -> None:
    # By call and not by $MPLBACKEND: the environment of the template is what every job sees.
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None and str(dict.get(matplotlib.rcParams, "backend")).lower() != "agg":
        matplotlib.use("Agg")

"""Imports the libraries that jobs use, once, in the template: a missing or broken one never stops the others.

One that starts threads does: a thread cannot be undone, and a process with threads cannot be forked safely. It is named,
the template is started again, and the second time it is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from warmfork_worker.kernel.proc import thread_count, thread_ids

# What jobs ask for by name, then what those libraries import lazily in the middle of a first chart, table or PDF.
SCIENCE_PRELOAD: Final[tuple[str, ...]] = (
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
)
STANDARD_PRELOAD: Final[tuple[str, ...]] = (
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
DEFAULT_PRELOAD: Final = (*SCIENCE_PRELOAD, *STANDARD_PRELOAD)
# What of the standard library is there once the libraries are: code that needs none of them must not notice that they are
# not, by a slower import, by a package that lacks what somebody else had loaded, or by a file of its own of that name.
BESIDE_SCIENCE: Final[tuple[str, ...]] = (
    "_strptime",
    "argparse",
    "calendar",
    "cmath",
    "colorsys",
    "concurrent.futures.thread",
    "difflib",
    "email.parser",
    "encodings.utf_16_be",
    "grp",
    "gzip",
    "html",
    "http.client",
    "importlib.metadata",
    "importlib.resources",
    "json",
    "mmap",
    "pickle",
    "pkgutil",
    "plistlib",
    "pprint",
    "pwd",
    "pydoc",
    "queue",
    "shlex",
    "tarfile",
    "timeit",
    "unittest",
    "urllib.error",
    "urllib.request",
    "xml.parsers.expat",
    "zipfile",
    "zoneinfo._zoneinfo",
)

_SETTLE_S: Final = 1.0


class ThreadsLeft(Exception):
    """Importing a module left threads behind.

    Attributes:
        module: as it stands in the list.
        threads: how many there are that were not there before.
    """

    def __init__(self, module: str, threads: int) -> None:
        super().__init__(f"importing {module} started {threads} thread(s)")
        self.module = module
        self.threads = threads


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


def modules_for(base: str, extra: Sequence[str]) -> tuple[str, ...]:
    """All modules of a template on ``base`` with these extra ones, each once, in order; for ``light``, the first of them.

    What a template on base ``light`` leaves for later is the rest of what one on base ``science`` has.
    """
    if base == "light":
        standard = (name for name in extra if _is_standard(name))
        return tuple(dict.fromkeys((*STANDARD_PRELOAD, *BESIDE_SCIENCE, *standard)))
    return tuple(dict.fromkeys((*(DEFAULT_PRELOAD if base == "science" else STANDARD_PRELOAD), *extra)))


def late_modules(extra: Sequence[str], left_out: Collection[str] = ()) -> tuple[str, ...]:
    """What a template on base ``light`` does not preload: the libraries, in the order in which ``science`` has them."""
    return tuple(
        name for name in modules_for("science", extra) if not _is_standard(name) and not _below(name, left_out)
    )


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _below(name: str, left_out: Collection[str]) -> bool:
    return any(name == culprit or name.startswith(f"{culprit}.") for culprit in left_out)


def preload(modules: Sequence[str] = DEFAULT_PRELOAD, left_out: Collection[str] = ()) -> tuple[Loaded, ...]:
    """Import ``modules`` in order and select matplotlib's Agg backend as soon as matplotlib is there.

    Args:
        modules: dotted names.
        left_out: those that are known to start threads; they and what is below them are reported and not imported.

    Returns one record per module, in order. An ``Exception`` or ``SystemExit`` raised by an import is recorded in its
    ``error`` and goes no further. Raises ThreadsLeft at the first import after which there is a thread that was not there before.
    """
    loaded = []
    for name in modules:
        if _below(name, left_out):
            loaded.append(
                Loaded(name, "", 0.0, "left out: importing it starts threads, and then no worker can be forked")
            )
            continue
        before = thread_ids()
        loaded.append(load(name))
        threads = _threads_beyond(before)
        if threads:
            raise ThreadsLeft(name, threads)
    return tuple(loaded)


def single_threaded() -> bool:
    """True when this process has one thread."""
    return thread_count() == 1


def _threads_beyond(before: Collection[str]) -> int:
    """How many threads there are that are not among ``before``, once those that are about to end have had time to.

    matplotlib sets a timer while it lists fonts and cancels it: that thread may outlive the import by a moment. By name and
    not by number, for one that was there before may end meanwhile.
    """
    due_s = time.monotonic() + _SETTLE_S
    while (more := thread_ids().difference(before)) and time.monotonic() < due_s:
        time.sleep(0.001)
    return len(more)


def load(name: str) -> Loaded:
    """Import one module; matplotlib gets its Agg backend. Never raises: see ``preload``."""
    started = time.perf_counter()
    version = error = ""
    try:
        module = import_module(name)
        if name.partition(".")[0] in ("matplotlib", "seaborn", "mpl_toolkits"):
            _select_agg()
        found = getattr(module, "__version__", "")
        version = found if isinstance(found, str) else ""
    except (Exception, SystemExit) as caught:
        # numpy's own message about a wrong build is a page long; the wire takes 2,000 characters.
        error = f"{type(caught).__name__}: {caught}"[:500].encode("utf-8", "replace").decode()
    return Loaded(name, version, time.perf_counter() - started, error)


def _select_agg() -> None:
    # By call and not by $MPLBACKEND: the environment of the template is what every job sees.
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None and str(dict.get(matplotlib.rcParams, "backend")).lower() != "agg":
        matplotlib.use("Agg")

"""Whether code may need numpy, pandas, matplotlib or what comes with them, or could tell whether they are loaded. Pure.

The issue speaks of the syntax tree; this looks at words instead. Parsing is done by the very parser that hostile text can
keep busy for seconds or bring down (deep nesting, its searches for a better error message), in the one process that must not
fall; a tree costs a hundred times more; and words are the more cautious answer: a name counts wherever it stands, in a
string or a comment as well. What is not seen here (names made at run time, of pieces) is no mistake either: the worker
loads the libraries when they are needed after all.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

CODE_BYTES_MAX: Final = 16_384
"""Longer code is not looked at: it counts as needing everything."""

_CACHED_CODES: Final = 512  # times CODE_BYTES_MAX

_LIBRARIES: Final = (
    *("matplotlib", "plt", "fm", "font_manager", "np", "numpy", "pd", "pandas", "sns", "seaborn"),
    *("pylab", "mpl_toolkits", "PIL"),
)
"""The preset names of libraries, and what else the default template holds under a name that code would use."""

_DYNAMIC: Final = (
    # Text that becomes code, or a name.
    *("eval", "exec", "__import__", "importlib", "import_module", "runpy", "pickle", "marshal", "shelve", "copyreg"),
    # Ways to see what is loaded, or what is there without an import.
    *("modules", "builtins", "__builtins__", "globals", "locals", "vars", "__subclasses__", "__loader__", "__spec__"),
    *("meta_path", "path_hooks", "path_importer_cache", "filters", "loggerDict", "gc", "inspect", "ctypes", "pkgutil"),
    *("_getframe", "f_builtins", "f_globals", "f_back", "settrace", "setprofile", "tracemalloc", "resource", "psutil"),
)

_STANDARD: Final = frozenset(
    (
        *("__future__", "abc", "argparse", "array", "ast", "asyncio", "base64", "binascii", "bisect", "bz2"),
        *("calendar", "cmath", "collections", "collections.abc", "colorsys", "concurrent"),
        *("concurrent.futures", "configparser", "contextlib", "contextvars", "copy", "csv", "dataclasses"),
        *("datetime", "decimal", "difflib", "enum", "errno", "fnmatch", "fractions", "functools", "glob"),
        *("graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "html.entities", "html.parser", "io"),
        *("itertools", "json", "json.decoder", "json.encoder", "keyword", "locale", "logging", "lzma", "math"),
        *("numbers", "operator", "os", "os.path", "pathlib", "platform", "pprint", "queue", "random", "re"),
        *("reprlib", "sched", "secrets", "shlex", "sqlite3", "stat", "statistics", "string", "struct", "sys"),
        *("textwrap", "time", "timeit", "token", "tokenize", "types", "typing", "unicodedata", "unittest"),
        *("unittest.mock", "urllib", "urllib.parse", "uuid", "warnings", "weakref", "xml", "xml.dom"),
        *("xml.dom.minidom", "xml.etree", "xml.etree.ElementTree", "xml.sax.saxutils", "zipfile", "zlib"),
        "zoneinfo",
    )
)
"""Modules that load none of the libraries and show nothing of them; in every Python from 3.11 on."""

_WORD: Final = re.compile(r"[^\W\d]\w*")
_TELLING: Final = frozenset((*_LIBRARIES, *_DYNAMIC))
_COMPILE: Final = re.compile(r"(?<![\w.])compile\b")  # the builtin; re.compile is another
_IMPORT: Final = re.compile(r"\bimport\b")
_DOTTED: Final = r"[A-Za-z_][\w.]*"
_ONE: Final = rf"{_DOTTED}(?:[ \t]+as[ \t]+\w+)?"
_STATEMENT: Final = re.compile(
    rf"(?:^|[;:])[ \t]*(?:from[ \t]+({_DOTTED})[ \t]+import\b|import[ \t]+({_ONE}(?:[ \t]*,[ \t]*{_ONE})*)[ \t\r]*(?=$|[;#]))",
    re.MULTILINE,
)


@lru_cache(_CACHED_CODES)
def needs_science(code: bytes) -> bool:
    """False when this code certainly runs the same in a process that has the standard library alone.

    Args:
        code: as in the request, UTF-8. Whether it is Python at all is of no interest: a syntax error is the same anywhere.
    """
    if len(code) > CODE_BYTES_MAX:
        return True
    try:
        text = code.decode()
    except UnicodeDecodeError:
        return True
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)  # as Python does with identifiers
        if len(text) > CODE_BYTES_MAX:
            return True
    if not _TELLING.isdisjoint(_WORD.findall(text)) or _COMPILE.search(text):
        return True
    return "import" in text and _imports_others(text)


def _imports_others(text: str) -> bool:
    """Whether the word ``import`` stands anywhere but in a plain statement that names modules of ``_STANDARD``."""
    statements = 0
    for match in _STATEMENT.finditer(text):
        statements += 1
        module, several = match.groups()
        names = (module,) if several is None else (one.split()[0] for one in several.split(","))
        if not _STANDARD.issuperset(names):
            return True
    return statements != len(_IMPORT.findall(text))

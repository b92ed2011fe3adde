"""Which parts of the host a template and its jobs need to read: interpreter, libraries, fonts, time zones. Nothing else.

In a private root exactly these are bound; where there is none, Landlock allows exactly these.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_SYSTEM_LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64")
_SHARED_DATA: Final = (
    *("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/mime"),
)
_SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types")


@dataclass(frozen=True, slots=True)
class HostTrees:
    """Absolute paths that exist; none lies below another one.

    Attributes:
        directories: read with all that is below them.
        files: single files, read.
        links: symbolic links by path, with what they say: system directories that are links on this host.
    """

    directories: tuple[str, ...]
    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


def host_trees(font_dirs: Sequence[str]) -> HostTrees:
    """What this interpreter needs. Call it before the root changes and before a job's directory is on ``sys.path``.

    Args:
        font_dirs: where an operator's fonts are.
    """
    links = tuple((path, os.readlink(path)) for path in _SYSTEM_LIBRARIES if os.path.islink(path))
    linked = {path for path, _ in links}
    wanted = [
        *_interpreter_paths(),
        *(path for path in _SYSTEM_LIBRARIES if path not in linked),
        *_SHARED_DATA,
        *font_dirs,
    ]
    # A tree is known by the path that the interpreter uses and by the one that its links lead to.
    both = [path for entry in wanted for path in (os.path.abspath(entry), os.path.realpath(entry))]
    # Below a directory that is a link on this host (/lib on a merged /usr) the real path is enough: the link stays one.
    both = [path for path in both if not path.startswith(tuple(f"{link}/" for link in linked))]
    directories = _outermost(path for path in both if os.path.isdir(path) and path != "/")
    files = [path for path in (*_SYSTEM_FILES, *both) if os.path.isfile(path)]
    outside = (path for path in dict.fromkeys(files) if not path.startswith(tuple(f"{top}/" for top in directories)))
    return HostTrees(directories, tuple(outside), links)


def _interpreter_paths() -> list[str]:
    schemes = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    in_use = [path for path in sys.path if os.path.isabs(path)]
    library = sysconfig.get_config_var("LIBDIR")  # where libpython is, if it is a shared one
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [path for path in (*schemes, *in_use, *site.getsitepackages(), *user, library, sys.executable) if path]


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not (kept and path.startswith(kept[-1].rstrip("/") + "/")):
            kept.append(path)
    return tuple(kept)

"""What every job may read besides its own directories."""

from __future__ import annotations

import os
import sys
import sysconfig


def readable_roots(font_path: str = "") -> tuple[str, ...]:
    """Directories and files a job may read: the standard library, installed packages, fonts, time zones.

    Args:
        font_path: the font file that draws Chinese text, empty if there is none.
    """
    paths = sysconfig.get_paths()
    roots = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in paths]
    roots += [entry for entry in sys.path if entry and os.path.isdir(entry)]
    roots += ["/usr/share/zoneinfo", "/usr/share/fonts", "/etc/localtime", os.path.join(sys.prefix, "share")]
    roots += [os.environ.get("MPLCONFIGDIR", ""), os.path.dirname(font_path)]
    return tuple(dict.fromkeys(os.path.realpath(root) for root in roots if root))

"""What the kernel is given: publishing its figures as every other system renders them, and the Chinese font."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Sequence
from typing import Any, Final

from bench.suite import job

_MEDIA_TYPE_OF: Final = {"png": "image/png", "pdf": "application/pdf", "svg": "image/svg+xml"}


def show(formats: Sequence[str]) -> None:
    """Publish each open figure in each format, encoded as the protocol of kernels wants it."""
    display: Any = importlib.import_module("IPython.display").display
    for place, data in enumerate(job.render(formats)):
        media_type = _MEDIA_TYPE_OF[formats[place % len(formats)]]
        display({media_type: base64.b64encode(data).decode()}, raw=True)


def set_fonts(*, chinese: bool) -> None:
    """Chinese text has a font from here on, or matplotlib's defaults are back."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.rcParams["font.family"] = job.register_chinese() if chinese else ["sans-serif"]

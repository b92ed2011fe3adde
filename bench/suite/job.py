"""What each system but ours runs for one job: the code in a namespace of its own, its output, its figures.

Run as a program, this is the cold process per job: it imports the libraries, reads the code from stdin, and writes its answer
as one pickle. It imports nothing of the project, so that no system pays for that.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = ("matplotlib", "numpy", "matplotlib.pyplot", "pandas", "seaborn")
_fonts: list[str] = []


def run_job(code: str, formats: Sequence[str]) -> tuple[str, list[bytes]]:
    """Run the code; its stdout, and each open figure in each format.

    Chinese text is given a font as far as it needs one: matplotlib's own would draw empty boxes, which is less work.
    """
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.nullcontext() if code.isascii() else chinese():
        exec(compile(code, "<job>", "exec"), {"__name__": "__main__"})
        charts = render(formats) if formats else []
    return out.getvalue(), charts


def render(formats: Sequence[str]) -> list[bytes]:
    """Every open figure in every format, as the workload's systems all save it."""
    pyplot: Any = sys.modules["matplotlib.pyplot"]
    charts = []
    for number in pyplot.get_fignums():
        for name in formats:
            buffer = io.BytesIO()
            pyplot.figure(number).savefig(buffer, format=name, bbox_inches="tight")
            charts.append(buffer.getvalue())
    return charts


def forget_figures() -> None:
    """Close what the last job left open; a process that lives on must. Not part of what is timed."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def load_libraries() -> None:
    """Import what a warm system has imported, and register the Chinese font."""
    for name in LIBRARIES:
        importlib.import_module(name)
    register_chinese()


def register_chinese() -> list[str]:
    """Make the font package's regular sans face known to matplotlib, once; the family names to use."""
    if not _fonts:
        font_manager: Any = importlib.import_module("matplotlib.font_manager")
        _fonts.append("DejaVu Sans")
        path = chinese_font()
        if path is not None:
            font_manager.fontManager.addfont(str(path))
            _fonts.append(font_manager.FontProperties(fname=str(path)).get_name())
    return _fonts


def chinese_font() -> Path | None:
    """The face that warmfork, too, draws Chinese with; None where its package is not installed."""
    spec = importlib.util.find_spec("pylopdf_fonts_zh_cn")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.rglob("*Sans*.otf"))), None)


@contextlib.contextmanager
def chinese() -> Iterator[None]:
    """Chinese text has a font here; Latin text keeps matplotlib's own."""
    matplotlib: Any = importlib.import_module("matplotlib")
    with matplotlib.rc_context({"font.family": register_chinese()}):
        yield


def answer_into(pipe: Any, code: str, formats: Sequence[str]) -> None:
    """The whole of a process per job. Here, because a child of the fork server imports what its target's module needs."""
    pipe.send_bytes(pickle.dumps(run_job(code, formats)))


def main() -> None:
    """One cold job: imports first, as the earlier executor does."""
    for name in LIBRARIES:
        importlib.import_module(name)
    code, formats = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(run_job(code, formats)))


if __name__ == "__main__":
    main()

"""Runs one script as plain Python would and writes down how it ended and what it drew.

    python plain_runner.py SCRIPT OUT_DIR [--cjk]

The script runs as ``__main__`` with its own file name, in the current directory, and owns stdout and stderr. Afterwards
``OUT_DIR/outcome.json`` tells how it ended and ``OUT_DIR/figure_N.png`` is each figure that is still open, as
``bbox_inches="tight"`` renders it. Nothing of warmfork is imported here; it is the yardstick.

``--cjk`` makes the Chinese font known that the daemon brings, under the names that scripts ask for, because plain
matplotlib has no such glyphs to compare with. Every other script runs with matplotlib as it is installed.
"""

from __future__ import annotations

import functools
import json
import linecache
import os
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

CJK_SERIF_NAMES = ("KaiTi", "SimSun")
CJK_SANS_NAMES = (
    "SimHei",
    "Microsoft YaHei",
    "PingFang SC",
    "STHeiti",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
)


def main() -> None:
    script, out_dir = Path(sys.argv[1]), Path(sys.argv[2])
    if "--cjk" in sys.argv[3:]:
        _add_cjk_fonts()
    saved_by = _note_savefig(script)
    outcome = _run(script)
    sys.stdout.flush()
    saved = list(saved_by)
    outcome["figures"] = _render_figures(out_dir)
    outcome["saved_figures"] = [number for number in outcome["figures"] if _figure(number) in saved]
    outcome["cpu_s"] = time.process_time()
    (out_dir / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


def _run(script: Path) -> dict[str, Any]:
    """The script's end as a dict: ``verdict``, ``error`` (type, message, line) and ``exit_code``."""
    module = ModuleType("__main__")
    module.__file__ = str(script)
    sys.modules["__main__"] = module
    sys.argv[:] = [str(script)]
    ended: dict[str, Any] = {"verdict": "ok", "error": None, "exit_code": None}
    try:
        exec(compile(script.read_bytes(), str(script), "exec"), module.__dict__)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        ended.update(exit_code=code, verdict="error" if code else "ok")
        if code:
            ended["error"] = {"type": "SystemExit", "message": "", "line": _line(error, script)}
    except BaseException as error:
        linecache.checkcache()
        traceback.print_exc()
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        ended.update(verdict="error")
        ended["error"] = {"type": type(error).__name__, "message": message, "line": _line(error, script)}
    return ended


def _line(error: BaseException, script: Path) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(script)), None)


def _note_savefig(script: Path) -> list[Any]:
    """The list that every figure is added to which the script saves to an image file that counts as a chart."""
    saved_by: list[Any] = []
    if not any(name in script.read_bytes() for name in (b"matplotlib", b"pandas", b"seaborn")):
        return saved_by
    from matplotlib.figure import Figure

    original = Figure.savefig

    @functools.wraps(original)
    def savefig(self: Any, fname: Any, *args: Any, **kwargs: Any) -> Any:
        done = original(self, fname, *args, **kwargs)
        if isinstance(fname, str | os.PathLike) and not str(fname).endswith(".gif"):
            saved_by.append(self)
        return done

    Figure.savefig = savefig  # type: ignore[method-assign]  # noted beside, not changed
    return saved_by


def _figure(number: int) -> Any:
    import matplotlib.pyplot as plt

    return plt.figure(number)


def _render_figures(out_dir: Path) -> list[int]:
    if "matplotlib.pyplot" not in sys.modules:
        return []
    import matplotlib.pyplot as plt

    for number in plt.get_fignums():
        _figure(number).savefig(out_dir / f"figure_{number}.png", format="png", bbox_inches="tight")
    return list(plt.get_fignums())


def _add_cjk_fonts() -> None:
    import matplotlib
    import pylopdf_fonts_zh_cn
    from matplotlib.font_manager import FontEntry, fontManager

    folder = Path(pylopdf_fonts_zh_cn.__file__).parent
    for pattern, names in (("NotoSansSC-*.otf", CJK_SANS_NAMES), ("NotoSerifSC-*.otf", CJK_SERIF_NAMES)):
        file = next(folder.glob(pattern))
        fontManager.addfont(file)
        fontManager.ttflist.extend(FontEntry(fname=str(file), name=name, size="scalable", weight=400) for name in names)
    matplotlib.rcParams["font.family"] = ["sans-serif", "Noto Sans SC"]


if __name__ == "__main__":
    main()

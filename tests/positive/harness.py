"""Runs a program of checks as one job and reads what became of each check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from warmfork import Result

PROGRAMS: Final = Path(__file__).parent / "programs"
_MARK: Final = "CHECKS "  # as the text below prints it
# Every check runs, whatever became of the one before; a warning is written where the job's stderr is compared.
_TAIL: Final = """

def _run_checks():
    import json, warnings
    warnings.simplefilter("always")
    told = {}
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            try:
                check()
                told[name] = "ok"
            except Exception as problem:
                step = problem.__traceback__
                lines = []
                while step is not None:
                    lines.append(step.tb_lineno)
                    step = step.tb_next
                told[name] = f"{type(problem).__name__}: {problem} (lines {lines})"
    print("\\nCHECKS " + json.dumps(told))


_run_checks()
"""


def whole(program: str) -> str:
    """The source of the job that runs all checks of ``programs/PROGRAM.py``."""
    return (PROGRAMS / f"{program}.py").read_text(encoding="utf-8") + _TAIL


def read(result: Result) -> dict[str, str]:
    """What became of each check: ``ok`` or the exception."""
    lines = [line for line in result.stdout.splitlines() if line.startswith(_MARK)]
    return dict(json.loads(lines[-1].removeprefix(_MARK))) if lines else {}

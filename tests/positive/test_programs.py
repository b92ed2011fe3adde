"""What the standard library, pandas, numpy, Pillow and fontTools do, they do under the guard, without a new warning."""

from __future__ import annotations

from typing import Final

import pytest
from tests.positive.harness import PROGRAMS, read, whole

from warmfork import Client

BEYOND_STRICT: Final = "beyond_strict"
CASES: Final = [
    (path.stem, policy)
    for path in sorted(PROGRAMS.glob("*.py"))
    for policy in ("strict", "standard", "off")
    if (path.stem, policy) != (BEYOND_STRICT, "strict")
]


@pytest.mark.parametrize(("program", "policy"), CASES)
def test_program(program: str, policy: str, guarded: Client, control: Client) -> None:
    """Every check passes, and stderr is what it is without the guard."""
    here = guarded.execute(whole(program), policy=policy, timeout_s=60)
    assert here.guarded
    assert {} == {name: told for name, told in read(here).items() if told != "ok"}
    assert ("ok", None) == (here.verdict, here.error)
    there = control.execute(whole(program), policy=policy, timeout_s=60)
    assert (read(there).keys(), there.stderr) == (read(here).keys(), here.stderr)


@pytest.mark.parametrize("program", sorted({program for program, _ in CASES}))
def test_program_without_mounts(program: str, without_mounts: Client) -> None:
    """Every check passes too where there are no namespaces, and no native code can be loaded late."""
    result = without_mounts.execute(whole(program), policy="standard", timeout_s=30)
    assert {} == {name: told for name, told in read(result).items() if told != "ok"}
    assert "ok" == result.verdict, result.error


def test_a_failing_check_is_told(guarded: Client) -> None:
    """A check that raises is named with its error, those after it still run, and every program has checks."""
    tail = whole("stdlib").partition("def _run_checks")[2]
    program = f"def check_a():\n    1 / 0\n\ndef check_b():\n    pass\n\ndef _run_checks{tail}"
    told = read(guarded.execute(program))
    assert told["check_a"].startswith("ZeroDivisionError: division by zero")
    assert "ok" == told["check_b"]
    assert all(source.read_text().count("def check_") >= 5 for source in PROGRAMS.glob("*.py"))

"""``python -m tests.escape.table``: runs every attempt three times and prints the table; exit code 1 if one got through."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from tests.escape.daemons import start_guarded, start_unguarded
from tests.escape.judge import has_control, is_kept_out, is_refused, is_shown, run_attempt
from tests.escape.record import CLASSES, Attempt, every_attempt
from tests.escape.world import Side, World
from tests.support import Served

_HEAD: Final = ("attempt", "without guards", "guarded", "guarded, strict")
_NOT_SHOWN: Final = "not shown"


def main() -> int:
    """Print the table and the sums; 0 where nothing got through and every control that can be shown was."""
    with tempfile.TemporaryDirectory(prefix="warmfork-table-") as scratch:
        guarded = _side(start_guarded(Path(scratch) / "guarded"))
        unguarded = _side(start_unguarded(Path(scratch) / "unguarded"))
        try:
            return _run(guarded, unguarded)
        finally:
            for side in (guarded, unguarded):
                side.client.close()
                side.world.close()
                side.served.stop()


def _side(served: Served) -> Side:
    return Side(served, served.client(), World(served))


def _run(guarded: Side, unguarded: Side) -> int:
    sums: Counter[tuple[str, str]] = Counter()
    class_ = ""
    for attempt in every_attempt():
        if attempt.class_ != class_:
            class_ = attempt.class_
            print(f"\n{class_}\n{_line(*_HEAD)}")
        cells = (_control(attempt, unguarded), _guarded(attempt, guarded), _strict(attempt, guarded))
        print(_line(f"{attempt.id}: the job {attempt.tries}", *cells), flush=True)
        for column, cell in zip(_HEAD[1:], cells, strict=True):
            if cell == _NOT_SHOWN:
                continue
            sums[class_, f"{column} {'wrong' if cell.startswith('WRONG') else 'right'}"] += 1
        sums[class_, "attempts"] += 1
        sums[class_, "with a control"] += has_control(attempt)
    return _sum_up(sums)


def _line(first: str, *rest: str) -> str:
    return f"  {first[:86]:86}" + "".join(f" | {cell[:26]:26}" for cell in rest).rstrip()


def _control(attempt: Attempt, side: Side) -> str:
    if not has_control(attempt):
        return _NOT_SHOWN
    outcome = run_attempt(attempt, side.client, side.world, "off", control=True)
    side.world.restore()
    return f"WRONG {outcome.word}" if is_shown(attempt, outcome) else "reached"


def _guarded(attempt: Attempt, side: Side) -> str:
    outcome = run_attempt(attempt, side.client, side.world, "off")
    if is_refused(attempt, outcome):
        return f"WRONG {outcome.said} {outcome.word}"
    if not attempt.refusals or attempt.verdicts:
        return f"nothing came of it ({outcome.result.verdict})"
    return f"refused {outcome.word}"


def _strict(attempt: Attempt, side: Side) -> str:
    outcome = run_attempt(attempt, side.client, side.world, "strict")
    if is_kept_out(attempt, outcome):
        return f"WRONG {outcome.said} {outcome.word}"
    return "refused" + (f" {outcome.word}" if outcome.said == "refused" else "")


def _sum_up(sums: Counter[tuple[str, str]]) -> int:
    columns = ("attempts", "with a control", *(f"{column} right" for column in _HEAD[1:]))
    print("\n" + f"{'class':16}" + "".join(f" {column:>22}" for column in columns))
    for name in CLASSES:
        print(f"{name:16}" + "".join(f" {sums[name, column]:>22}" for column in columns))
    print(f"{'all':16}" + "".join(f" {sum(sums[name, column] for name in CLASSES):>22}" for column in columns))
    wrong = sum(count for (_, column), count in sums.items() if column.endswith("wrong"))
    print(
        f"\n{wrong} cells are wrong; those 'not shown' say why in their row of the tables under tests/escape/attempts"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the corpus in plain Python and through ``warmfork run`` and compares the two.

    python tests/corpus/compare.py [--policy strict] [--only GLOB] [--json OUT] [--address A] [--plain-only]

Outcome, stdout, the number of figures and every pixel are compared; refusals by the policy are counted apart. The exit
code is 1 when more than 1 % of the rest differ, when a difference has no reason in ``manifest.toml``, or when a refusal
is not the one that ``manifest.toml`` names. What is compared how: ``README.md`` beside this file.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

# Run as a file, only this folder is on the path; the modules beside it are tests.corpus.*, as for mypy and pytest.
sys.path.extend(str(Path(__file__).resolve().parents[2] / folder) for folder in (".", "client", "worker"))

from tests.corpus.judge import differences
from tests.corpus.records import Outcome, Script, load_manifest
from tests.corpus.refusals import is_in_table, is_refusal_by, refusal_text
from tests.corpus.sides import Service, run_plain, run_warmfork, service

DIFFERING_SHARE_MAX: Final = 0.01
PLAIN_CPU_S_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    """The verdict on one script.

    Attributes:
        result: ``same``, ``refused``, ``differs`` (documented) or ``DIFFERS``.
        notes: differences, reason or refusing entry.
        plain_s, ours_s: wall seconds of each side, process start included; 0 where it did not run.
        images: pictures that came back.
    """

    name: str
    kind: str
    result: str
    notes: tuple[str, ...]
    plain_s: float
    ours_s: float
    images: int


def main() -> int:
    arguments = _parse()
    scripts = [script for script in load_manifest() if fnmatch.fnmatch(script.name, arguments.only)]
    scratch = Path(tempfile.mkdtemp(prefix="warmfork-corpus-"))
    try:
        rows = _compare_all(scripts, scratch, arguments)
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    summary, passed = _summarize(rows)
    print(summary)
    if arguments.json:
        record = {"policy": arguments.policy, "passed": passed, "rows": [asdict(row) for row in rows]}
        Path(arguments.json).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0 if passed else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=("strict", "standard"), default="strict")
    parser.add_argument("--only", metavar="GLOB", default="*", help="scripts whose name fits, such as 'llm/cn_*'")
    parser.add_argument("--json", metavar="OUT", help="write the rows there as JSON")
    parser.add_argument("--address", help="use this daemon instead of starting one")
    parser.add_argument("--plain-only", action="store_true", help="check that the scripts are fit to be compared")
    parser.add_argument("--jobs", type=int, default=2, help="scripts at the same time (default 2)")
    parser.add_argument("--keep", action="store_true", help="keep the directory with all pictures and say where it is")
    return parser.parse_args()


def _compare_all(scripts: list[Script], scratch: Path, arguments: argparse.Namespace) -> list[Row]:
    home = scratch / "home"
    home.mkdir()
    if arguments.keep:
        print("pictures:", scratch)
    print(f"{'script':42s} {'result':8s} {'plain':>7s} {'ours':>7s} images  notes")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        if arguments.plain_only:
            jobs = [pool.submit(_check_plain, script, scratch / str(k), home) for k, script in enumerate(scripts)]
            return [_print(job.result()) for job in jobs]
        with service(home, arguments.address) as served:
            jobs = [
                pool.submit(_compare, script, scratch / str(k), home, served, arguments.policy)
                for k, script in enumerate(scripts)
            ]
            return [_print(job.result()) for job in jobs]


def _compare(script: Script, scratch: Path, home: Path, served: Service, policy: str) -> Row:
    ours = run_warmfork(script, scratch, served, policy)
    refused = refusal_text(ours)
    entry = script.refused.get(policy)
    if entry is not None:
        expected = is_in_table(entry, policy) and is_refusal_by(entry, refused)
        notes = [f"by {entry}"] if expected else [f"expected refusal by {entry}, got: {ours.error_message[:160]}"]
        return _row(script, "refused" if expected else "DIFFERS", notes, None, ours)
    plain = run_plain(script, scratch, home)
    found = differences(script, plain, ours)
    if refused and found:
        found.insert(0, "refused, and the manifest does not say so")
    if found and policy in script.differs:
        return _row(script, "differs", [script.differs[policy], *found], plain, ours)
    return _row(script, "DIFFERS" if found else "same", found, plain, ours)


def _check_plain(script: Script, scratch: Path, home: Path) -> Row:
    """Two plain runs of a script must agree, or it cannot be compared with anything; and it must be quick."""
    first = run_plain(script, scratch / "first", home)
    second = run_plain(script, scratch / "second", home)
    notes = differences(script, first, second)
    if first.verdict == "broken":
        notes.append(f"broken: {first.stderr[-200:]}")
    # CPU, not wall time: the machine may be busy with something else.
    if min(first.cpu_s, second.cpu_s) > PLAIN_CPU_S_MAX:
        notes.append(f"slow: {first.cpu_s:.1f} s of CPU")
    return _row(script, "DIFFERS" if notes else "same", [*notes, f"{first.verdict} {first.error_type}"], first, second)


def _row(script: Script, result: str, notes: list[str], plain: Outcome | None, ours: Outcome) -> Row:
    plain_s = plain.wall_s if plain else 0.0
    return Row(script.name, script.kind, result, tuple(notes), plain_s, ours.wall_s, len(ours.images))


def _print(row: Row) -> Row:
    times = f"{row.plain_s:6.2f}s {row.ours_s:6.2f}s"
    notes = "; ".join(note.replace("\n", " ") for note in row.notes)
    print(f"{row.name:42s} {row.result:8s} {times} {row.images:6d}  {notes}", flush=True)
    return row


def _summarize(rows: list[Row]) -> tuple[str, bool]:
    count = {result: sum(row.result == result for row in rows) for result in ("same", "refused", "differs", "DIFFERS")}
    rest = len(rows) - count["refused"]
    differing = count["differs"] + count["DIFFERS"]
    share = differing / rest if rest else 0.0
    passed = bool(rows) and share <= DIFFERING_SHARE_MAX and not count["DIFFERS"]
    plain_s, ours_s = sum(row.plain_s for row in rows), sum(row.ours_s for row in rows)
    lines = [
        "",
        f"{len(rows)} scripts, {count['refused']} refused as expected. Of the other {rest}: {count['same']} the same,"
        f" {differing} differing ({share:.1%}, at most {DIFFERING_SHARE_MAX:.0%} allowed),"
        f" {count['DIFFERS']} of them without a documented reason.",
        f"wall seconds: plain {plain_s:.1f}, warmfork run {ours_s:.1f}",
        "passed" if passed else "FAILED",
    ]
    return "\n".join(lines), passed


if __name__ == "__main__":
    sys.exit(main())

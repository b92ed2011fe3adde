"""The program that measures forks against the size of the template, and the target that reads what it prints."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.suite.findings import Findings
from bench.suite.targets import fork_ratio, judge
from tests.support import ROOT, environment


def test_the_target_reads_what_the_program_prints() -> None:
    """A run with 1 MB more has rows from which the target takes its ratio, and none for a size that was not measured."""
    ended = subprocess.run(
        [sys.executable, "bench/fork_cost.py", "--json", "--megabytes", "0", "1", "--rounds", "1", "--kinds", "small"],
        capture_output=True, text=True, cwd=ROOT, env=environment(), check=False, timeout=120,
    )  # fmt: skip
    assert 0 == ended.returncode, ended.stderr
    rows = json.loads(ended.stdout)
    assert ["bare", "plain", "memfd", "plain +1 MB small", "memfd +1 MB small"] == [row["name"] for row in rows]
    found = fork_ratio(rows, 1)
    assert found is not None
    assert rows[4]["cpu_ms"] / rows[2]["cpu_ms"] == found.value
    assert fork_ratio(rows, 2) is None
    for row in rows:
        row["megabytes"] *= 1024
    outcomes = judge(Findings(fork_by_size=rows))
    assert [found] == [outcome.value for outcome in outcomes if outcome.value is not None]

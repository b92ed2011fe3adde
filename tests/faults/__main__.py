"""``python -m tests.faults --seed N``: one run, or several from that seed on; exit code 1 where an invariant was broken."""

from __future__ import annotations

import argparse
import sys

from tests.faults.plan import FAULTS, draw
from tests.faults.run import keep_log, run


def main() -> int:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1, help="how many, with the seeds that follow")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load")
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"of {', '.join(FAULTS)}; empty for none")
    parser.add_argument("--quiet", action="store_true", help="tell only what was broken")
    parser.add_argument("--module", default="warmfork", help="run as the daemon, such as 'tests.faults.broken double'")
    given = parser.parse_args()
    kinds = tuple(filter(None, given.faults.split(",")))
    unknown = sorted(set(kinds) - set(FAULTS))
    if unknown:
        parser.error(f"unknown faults: {', '.join(unknown)}")
    broken = 0
    for seed in range(given.seed, given.seed + given.runs):
        say = (lambda line: None) if given.quiet else (lambda line: print(line, flush=True))
        report = run(draw(seed, given.seconds, kinds), module=given.module.split(), say=say)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in report.verdicts.most_common())
        print(f"seed {seed}: {len(report.windows)} faults; {verdicts}", flush=True)
        if report.problems:
            broken += 1
            again = f"--seed {seed} --seconds {given.seconds:g} --faults {given.faults}"
            print("\n".join(f"  BROKEN {problem}" for problem in report.problems))
            print(f"  again: python -m tests.faults {again}\n  the daemon's log: {keep_log(report, seed)}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m bench.soak [--minutes 30] [--out report.json] [--plot soak.png] [--check]``, from the checkout."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench.soak import analysis, leak, run
from bench.soak.samples import Sample
from bench.suite import facts


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="A daemon under a hostile mix for long.")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="of the load; 2 show a leak of 12 KiB a job, 30 one of 0.8"
    )
    parser.add_argument("--rate", type=float, default=15.0, help="jobs per second")
    parser.add_argument("--clients", type=int, default=4, help="connections at the same time")
    parser.add_argument("--seed", type=int, default=1, help="of the order of jobs")
    parser.add_argument("--out", type=Path, help="write everything that was seen, as JSON")
    parser.add_argument("--plot", type=Path, help="draw it, as PNG")
    parser.add_argument("--from", dest="source", type=Path, help="draw an earlier --out, and run nothing")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 and the reasons when it is not flat or not right"
    )
    parser.add_argument("--leak", choices=leak.KINDS, help="have the daemon leak, to see that it is noticed")
    return parser.parse_args()


def report_of(plan: run.Plan, record: run.Record, machine: dict[str, Any]) -> dict[str, Any]:
    """Everything, as plain data; the machine as it was before the run."""
    windows, findings = run.judge(plan, record)
    samples = record.samples
    return {
        "command": ["python", "-m", "bench.soak", *sys.argv[1:]],
        "plan": {**dataclasses.asdict(plan), "settings": dict(run.SETTINGS)},
        "facts": machine,
        "jobs": len(record.answers),
        "by_kind": dict(Counter(answer.kind for answer in record.answers)),
        "by_verdict": dict(Counter(answer.verdict for answer in record.answers)),
        "probes": len(record.latencies),
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "reasons": run.reasons(record, findings),
        "problems": len(record.problems),
        "daemon_cpu_s": samples[-1].cpu_s - samples[0].cpu_s if samples else 0.0,
        "before": dataclasses.asdict(record.before) if record.before else None,
        "after": dataclasses.asdict(record.after) if record.after else None,
        "windows": [dataclasses.asdict(window) for window in windows],
        "samples": {
            item.name: [getattr(sample, item.name) for sample in samples] for item in dataclasses.fields(Sample)
        },
        "answers": [(round(answer.at_s, 2), answer.verdict) for answer in record.answers],
    }


def tell(report: dict[str, Any]) -> None:
    """Print what it came to."""
    seconds = report["plan"]["seconds"]
    print(f"{report['jobs']} jobs in {seconds:.0f} s, {report['probes']} probes, {report['problems']} problems")
    print(f"verdicts: {report['by_verdict']}")
    for finding in report["findings"]:
        print(analysis.Finding(**finding))
    before, after = report["before"], report["after"]
    if before and after:
        names = ("descriptors", "processes", "slots", "temp_files")
        print("quiet before and after: " + ", ".join(f"{before[name]} and {after[name]} {name}" for name in names))
    print(f"the daemon's own CPU: {report['daemon_cpu_s'] / seconds:.1%} of one")
    for reason in report["reasons"]:
        print(f"NOT RIGHT: {reason}")


def main() -> int:
    """Run or read, print, write, draw; 1 where it was to be checked and is not right."""
    args = arguments()
    if args.source:
        report = json.loads(args.source.read_text())
    else:
        environ = leak.environment(args.leak) if args.leak else {}
        plan = run.Plan(args.minutes * 60, args.clients, args.rate, args.seed, environ)
        machine = facts.collect()  # its load average is of what others do, as long as ours does nothing
        report = report_of(plan, asyncio.run(run.soak(plan)), machine)
    if args.out:
        args.out.write_text(json.dumps(report))
    tell(report)
    if args.plot:
        from bench.soak import plot

        plot.draw(report, args.plot)
    return 1 if args.check and report["reasons"] else 0


if __name__ == "__main__":
    sys.exit(main())

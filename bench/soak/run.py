"""One soak from the daemon's start to its end, and what it came to."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psutil
from bench.soak import analysis, jobs
from bench.soak.load import Answer, Load
from bench.soak.probe import Probe
from bench.soak.samples import Sample, Watched

from warmfork import AsyncClient, WarmforkError

MIB: Final = float(1 << 20)
SAMPLE_S: Final = 0.5
SAMPLES_MAX: Final = 3600
_QUIET_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.2
_PROBLEMS_SHOWN: Final = 20

SETTINGS: Final[Mapping[str, Any]] = {
    **jobs.SETTINGS,
    "pool.idle_workers": 4,
    # What is remembered of ended jobs is full before the warm-up is over, and then as big as it gets.
    "results.recent_bytes": "4M",
    "results.recent_s": 15.0,
    # In a long run templates are renewed under the load, too.
    "lifecycle.age_s_max": 300.0,
    # Where others take all CPUs, one that gets none for seconds is not one that hangs.
    "lifecycle.hang_s": 60.0,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how much.

    Attributes:
        seconds: of the load.
        clients: connections at the same time.
        rate: jobs per second, of all clients together.
        seed: of the order of jobs.
        environ: of the daemon, besides this process's own; that is how a leak gets in.
    """

    seconds: float
    clients: int
    rate: float
    seed: int
    environ: Mapping[str, str]


@dataclass(slots=True)
class Record:
    """Everything that was seen. Times are seconds from the start of the load.

    Attributes:
        samples: looks at the daemon.
        answers: of the jobs.
        latencies: of the probe: when, and how many seconds.
        before, after: looks while all was quiet.
        problems: what is wrong, each a sentence.
    """

    samples: list[Sample] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    before: Sample | None = None
    after: Sample | None = None
    problems: list[str] = field(default_factory=list)


async def soak(plan: Plan) -> Record:
    """Run it. Raises EmbeddedStartFailed; what goes wrong afterwards is in the record, and that with what was seen."""
    watched, record = Watched(SETTINGS), Record()
    watched.start(plan.environ)
    try:
        async with AsyncClient(watched.daemon.address, key=watched.daemon.key) as client:
            await _soak(plan, watched, client, record)
    except (WarmforkError, psutil.Error) as problem:
        record.problems.insert(0, f"the daemon could not be looked at: {problem!r}")
    finally:
        left = watched.stop()
    record.problems += [f"left behind: {what}" for what in left]
    return record


async def _soak(plan: Plan, watched: Watched, client: AsyncClient, record: Record) -> None:
    # The first big reply makes pyzmq open a context of its own, once, to know when such messages have been sent.
    await client.execute("import os\nos.write(1, bytes(1 << 20))", policy="standard", timeout_s=jobs.PATIENT_S)
    record.before = await _quiet(watched, client, record)
    submitted_before = (await client.status())["jobs"]["submitted"]
    address, key = watched.daemon.address, watched.daemon.key
    probe, load = Probe(address, key), Load(address, key, clients=plan.clients, rate=plan.rate, seed=plan.seed)
    began_s = time.monotonic()
    sampling = asyncio.create_task(_sample(watched, client, probe, record, max(SAMPLE_S, plan.seconds / SAMPLES_MAX)))
    await load.run(began_s + plan.seconds)
    sampling.cancel()
    await asyncio.wait([sampling])
    await asyncio.to_thread(probe.stop)
    record.answers = [dataclasses.replace(answer, at_s=answer.at_s - began_s) for answer in load.answers]
    record.samples = [dataclasses.replace(sample, at_s=sample.at_s - began_s) for sample in record.samples]
    record.latencies = [(at_s - began_s, latency_s) for at_s, latency_s in probe.latencies]
    record.problems += [answer.problem for answer in load.answers if answer.problem]
    record.problems += probe.problems + load.doubled()
    if not sampling.cancelled():
        sampling.result()
    record.after = await _quiet(watched, client, record, record.before)
    status = await client.status()
    record.problems += _judge_account(status, submitted_before, load, probe)


async def _sample(watched: Watched, client: AsyncClient, probe: Probe, record: Record, pause_s: float) -> None:
    while True:
        record.samples.append(watched.look(await client.status()))
        probe.collect()
        await asyncio.sleep(pause_s)


async def _quiet(watched: Watched, client: AsyncClient, record: Record, before: Sample | None = None) -> Sample:
    """Wait until nothing happens any more, and nothing is there that was not there before; look."""
    until_s = time.monotonic() + _QUIET_S
    while True:
        status = await client.status()
        look = watched.look(status)
        reason = watched.why_not_quiet(status) or _more_than(before, look)
        if not reason:
            return look
        if time.monotonic() > until_s:
            record.problems.append(f"after {_QUIET_S:g} s: {reason}; descriptors are {watched.descriptors_by_kind()}")
            return look
        await asyncio.sleep(_LOOK_AGAIN_S)


def _more_than(before: Sample | None, after: Sample) -> str:
    names = () if before is None else ("descriptors", "processes", "slots", "temp_files")
    more = [
        f"{getattr(after, name)} {name.replace('_', ' ')}, and {getattr(before, name)} before the run"
        for name in names
        if getattr(after, name) > getattr(before, name)
    ]
    return "; ".join(more)


def _judge_account(status: Mapping[str, Any], submitted_before: int, load: Load, probe: Probe) -> list[str]:
    """The daemon's own account has as many jobs as were submitted, and as many verdicts of each kind as answers came."""
    problems = []
    if load.submitted != len(load.answers):
        problems.append(f"{load.submitted} jobs were submitted and {len(load.answers)} answers came")
    account, number = status["jobs"], load.submitted + len(probe.latencies) + len(probe.problems)
    if account["submitted"] - submitted_before != number:
        problems.append(
            f"the daemon counts {account['submitted'] - submitted_before} jobs, and {number} were submitted"
        )
    ours = Counter(answer.verdict for answer in load.answers)
    ours["ok"] += len(probe.latencies) + submitted_before
    theirs = {verdict: many for verdict, many in account["by_verdict"].items() if many}
    if theirs != {verdict: many for verdict, many in ours.items() if many}:
        problems.append(f"the daemon counts verdicts {theirs}, and {dict(ours)} came")
    return problems


def judge(plan: Plan, record: Record) -> tuple[list[analysis.Window], list[analysis.Finding]]:
    """The windows of latency, and which series are flat; those that cannot be judged are problems of the record."""
    seconds = plan.seconds
    windows = analysis.windows(record.latencies, window_s(seconds), seconds)
    samples = [sample for sample in record.samples if sample.at_s <= seconds]
    series = (
        (analysis.MEMORY, [(look.at_s, look.rss_bytes / MIB) for look in samples]),
        (analysis.TEMPLATE, [(look.at_s, look.template_bytes / MIB) for look in samples if look.template_bytes]),
        (analysis.DESCRIPTORS, [(look.at_s, look.descriptors) for look in samples]),
        (analysis.PROCESSES, [(look.at_s, look.processes) for look in samples]),
        (analysis.SLOTS, [(look.at_s, look.slots) for look in samples]),
        (analysis.LATENCY_BEST, [(window.at_s, window.best_ms) for window in windows]),
        (analysis.LATENCY, [(window.at_s, window.median_ms) for window in windows]),
        (analysis.LATENCY_P95, [(window.at_s, window.p95_ms) for window in windows]),
    )
    findings = []
    for rule, points in series:
        try:
            findings.append(analysis.judge(points, rule, seconds))
        except ValueError as problem:
            record.problems.append(str(problem))
    return windows, findings


def window_s(seconds: float) -> float:
    """Width of a window: 30 of them with some twenty probes each in 2 minutes, 120 in half an hour."""
    return max(seconds / 120, min(4.0, seconds / 20))


def reasons(record: Record, findings: list[analysis.Finding]) -> list[str]:
    """Why the run is not good; empty for a good one."""
    growing = [str(finding) for finding in findings if not finding.flat]
    more = len(record.problems) - _PROBLEMS_SHOWN
    return [*growing, *record.problems[:_PROBLEMS_SHOWN], *([f"and {more} more problems"] if more > 0 else [])]

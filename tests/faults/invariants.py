"""What must hold, whatever was done: for each job by what overlapped it, and for the daemon once it is quiet.

Verdicts are permitted in two ways. By kind: how the job ends when nothing is done to it. And by the faults that
overlapped it; where a fault has so many victims and no more, they are counted: two kills of workers explain two crashes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from tests.faults.load import UNREACHABLE
from tests.faults.programs import VERDICT, Outcome
from tests.faults.rig import HANG_S, RUNNING_MAX, Broken, Rig, wait_for
from tests.faults.watch import Watch

from warmfork import Client

_START_S: Final = 25.0
_AFTER_S: Final = 1.0
_SILENCE_S: Final = 5.0  # of a busy machine
_GROWTH_BYTES_MAX: Final = 40 << 20
_PEAK_GROWTH_BYTES_MAX: Final = 160 << 20

EXTRA: Final[dict[str, frozenset[str]]] = {
    "worker_kill": frozenset({"crashed"}),
    "worker_stop": frozenset({"timeout", "rejected"}),
    "template_kill": frozenset({"lost", "crashed", "rejected"}),
    "template_stop": frozenset({"rejected", "lost", "crashed"}),
    # A deadline that passes while the daemon stands still is kept by the kernel alone.
    "daemon_stop": frozenset({"timeout", "cpu_limit", "rejected", UNREACHABLE}),
    "daemon_kill": frozenset({"lost", "rejected", UNREACHABLE}),
    "suspend": frozenset({"timeout", "rejected", UNREACHABLE}),
    "daemon_emfile": frozenset({"rejected", "lost", UNREACHABLE}),  # connections over the limit are closed
    "template_emfile": frozenset({"rejected"}),
    "fork_fails": frozenset({"rejected"}),
    "disk_full": frozenset({"rejected", "disk_limit"}),
}
"""What a fault may make of a job besides its own verdict. Reloads, clocks, garbage and other clients: nothing at all."""

_DAEMON_AWAY: Final = ("daemon_stop", "daemon_kill", "suspend", "daemon_emfile")
_NO_START: Final = ("fork_fails", "disk_full", "template_kill", "worker_kill", "template_emfile", "daemon_emfile")


@dataclass(frozen=True, slots=True)
class Window:
    """A fault that was done: what, and from when until when by the monotonic clock."""

    kind: str
    variant: str
    began_s: float
    ended_s: float
    done: str

    def overlaps(self, began_s: float, ended_s: float) -> bool:
        """Whether it can have touched what lasted from ``began_s`` to ``ended_s``."""
        return began_s <= self.ended_s + _AFTER_S and ended_s >= self.began_s


@dataclass(frozen=True, slots=True)
class Baseline:
    """How the daemon was when it had started and nothing had been done."""

    descriptors: int
    memory_bytes: int
    kinds: Counter[str]


def judge_jobs(outcomes: Iterable[Outcome], windows: Sequence[Window], watch: Watch) -> list[str]:
    """What is wrong with the calls: foreign output, verdicts that nothing explains, words that were not true."""
    problems: list[str] = []
    unexplained: Counter[str] = Counter()
    for outcome in outcomes:
        told = f"job {outcome.job_id} ({outcome.kind}, {outcome.client}, {outcome.verdict})"
        problems += [f"{told}: {problem}" for problem in outcome.problems]
        overlapping = [window for window in windows if window.overlaps(outcome.began_s, outcome.ended_s)]
        permitted = {VERDICT[outcome.kind]}.union(*(EXTRA.get(window.kind, frozenset()) for window in overlapping))
        if outcome.verdict not in permitted:
            problems.append(f"{told}: expected {sorted(permitted)}; {outcome.detail}")
        elif outcome.verdict != VERDICT[outcome.kind]:
            unexplained[outcome.verdict] += 1
        if len(outcome.tokens) > 1:
            problems.append(f"{told}: it ran {len(outcome.tokens)} times")
        started = bool(outcome.tokens) or outcome.job_id in watch.running
        if started and outcome.retry_safe:
            problems.append(f"{told}: safe to retry, it says, and it had run: {outcome.detail}")
        if started and outcome.cancel == "queued" and outcome.verdict == "cancelled":
            problems.append(f"{told}: cancelled in the queue, it says, and it had run")
    return problems + _judge_counts(unexplained, windows)


def _judge_counts(unexplained: Counter[str], windows: Sequence[Window]) -> list[str]:
    number = Counter(window.kind for window in windows)
    hung = sum(window.kind == "template_stop" and window.ended_s - window.began_s > HANG_S for window in windows)
    by_template = (number["template_kill"] + hung) * RUNNING_MAX
    bounds = {"crashed": number["worker_kill"] + by_template}
    if not number["daemon_kill"] and not number["daemon_emfile"]:
        bounds["lost"] = by_template
    return [
        f"{unexplained[verdict]} jobs {verdict}, and what was done explains {most}"
        for verdict, most in bounds.items()
        if unexplained[verdict] > most
    ]


def judge_starts(rig: Rig, windows: Sequence[Window]) -> list[str]:
    """A start fails only where something was done to its template."""
    blamed = [window for window in windows if window.kind in _NO_START]
    failed = [at_s for at_s in rig.failed_starts_s if not any(window.overlaps(at_s, at_s) for window in blamed)]
    return [f"{len(failed)} starts of the daemon failed, and nothing explains it"] if failed else []


def judge_silences(windows: Sequence[Window], watch: Watch) -> list[str]:
    """The daemon answers all the time, but while it is stopped, dead or without descriptors."""
    away = [window for window in windows if window.kind in _DAEMON_AWAY]
    return [
        f"the daemon did not answer for {until_s - from_s:.1f} s"
        for from_s, until_s in watch.silences
        if until_s - from_s > _SILENCE_S and not any(window.overlaps(from_s, until_s) for window in away)
    ]


def judge_log(rig: Rig, windows: Sequence[Window]) -> list[str]:
    """No exception of the daemon's own in its log, or of a template's on the same stderr, but of what it was short of."""
    short = any(window.kind in ("daemon_emfile", "template_emfile") for window in windows)
    problems = []
    for line in rig.log.read_text(errors="replace").splitlines():
        if short and "[Errno 24]" in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = {}
        said = str(event.get("traceback", event.get("exception", ""))) or ("" if event else line)
        if (
            "Traceback" in said
            or "ImpossibleStep" in line
            or "defect" in str(event.get("event", event.get("message", "")))
        ):
            problems.append(f"in the log: {line[:1500]}")
    return problems[:5]


def settle(rig: Rig) -> Baseline:
    """How the daemon is once it has had a first job, and all it wants. Raises Broken."""
    problems = _judge_fresh_job(rig)
    if problems:
        raise Broken(f"at the start, {problems[0]}")
    wait_for(lambda: not _why_not_quiet(rig), "all workers are idle after the start", _START_S)
    return measure(rig)


def measure(rig: Rig) -> Baseline:
    """How the daemon is now."""
    process = psutil.Process(rig.process.pid)
    return Baseline(process.num_fds(), process.memory_info().rss, _kinds_of_descriptors(process.pid))


def _kinds_of_descriptors(pid: int) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(entry)
            kinds[target if target.startswith(("/", "anon_inode")) else target.partition(":")[0]] += 1
    return kinds


def _why_not_quiet(rig: Rig) -> str:
    try:
        return is_quiet(rig)
    except (psutil.Error, OSError) as problem:  # somebody went while it was looked at
        return str(problem)


def is_quiet(rig: Rig) -> str:
    """Empty when nothing waits or runs, all wanted workers are idle and nobody else is there; else what is not so."""
    if rig.process.poll() is not None:
        raise Broken(f"the daemon ended by itself with {rig.process.returncode}")
    status = rig.status(2.0)
    if status is None:
        return "the daemon does not answer"
    if status["queue"]["jobs"] or status["running"]:
        return f"{status['queue']['jobs']} jobs wait and {len(status['running'])} run"
    wanted = status["workers"]["wanted_idle"]
    if status["workers"]["by_state"] != {"idle": wanted}:
        return f"workers are {status['workers']['by_state']}; {[row['problem'] for row in status['templates']]}"
    down = [(row["name"], row["state"], row["problem"]) for row in status["templates"] if row["state"] != "ready"]
    if down:
        return f"templates are down: {down}"
    templates = {row["pid"] for row in status["templates"]}
    expected = {row["pid"] for row in status["workers"]["list"]} | templates
    outer = {psutil.Process(pid).ppid() for pid in templates} - {rig.process.pid}
    there = set(rig.processes())
    if there not in (expected, expected | outer):
        return f"processes {sorted(there - expected - outer)} are left, {sorted(expected - there)} are missing"
    zombies = [
        child.pid for child in psutil.Process(rig.process.pid).children() if child.status() == psutil.STATUS_ZOMBIE
    ]
    return f"zombies {zombies}" if zombies else _left_on_disk(rig, wanted if rig.on_disk else 0, len(templates))


def _left_on_disk(rig: Rig, slots_wanted: int, templates: int) -> str:
    directories = [path for path in rig.directory.iterdir() if path.name.startswith("slots")]
    slots = [str(entry) for path in directories for entry in path.iterdir() if entry.name != "template"]
    # One of each template's own, and the one that was made first.
    generations = [path.name for path in directories if path.name != "slots"]
    known = {"warmfork.sock", "key", "lock", "slots", *generations}
    strange = sorted({path.name for path in rig.directory.iterdir()} - known)
    temporary = sorted(path.name for path in rig.temp.iterdir())
    if len(slots) != slots_wanted or len(generations) > templates or strange or temporary:
        return f"slots {slots}, generations {generations}, files {strange}, temporary {temporary}"
    return ""


def judge_quiet(rig: Rig, patience_s: float) -> list[str]:
    """Within a while of the last call nothing waits or runs, all workers are there, and nobody and nothing else."""
    try:
        wait_for(lambda: not _why_not_quiet(rig), "quiet", patience_s)
    except Broken:
        reason = _why_not_quiet(rig)
        return [f"not quiet after {patience_s:g} s: {reason}"] if reason else []
    return []


def judge_end(rig: Rig, baseline: Baseline, watch: Watch, patience_s: float) -> list[str]:
    """When the last client has gone: nothing leaked, and a fresh job draws. Then it is told to stop, and leaves nothing."""
    problems = []
    try:
        wait_for(lambda: measure(rig).descriptors <= baseline.descriptors, "descriptors", patience_s)
    except Broken:
        now = measure(rig)
        more = dict(now.kinds - baseline.kinds)
        problems.append(f"{now.descriptors} descriptors are open, and {baseline.descriptors} were; more of {more}")
    now = measure(rig)
    if now.memory_bytes > baseline.memory_bytes + _GROWTH_BYTES_MAX:
        problems.append(f"memory grew from {baseline.memory_bytes >> 20} to {now.memory_bytes >> 20} MiB")
    if watch.peak_bytes > baseline.memory_bytes + _PEAK_GROWTH_BYTES_MAX:
        problems.append(
            f"memory was {watch.peak_bytes >> 20} MiB meanwhile, {baseline.memory_bytes >> 20} in the beginning"
        )
    return problems + _judge_fresh_job(rig) + _judge_stop(rig)


def _judge_fresh_job(rig: Rig) -> list[str]:
    try:
        with Client(rig.address) as client:
            result = client.execute("plt.plot([1, 2]); print(6 * 7)", timeout_s=20, deadline_s=30)
    except Exception as problem:
        return [f"a fresh job: {problem!r}"]
    got: Any = (result.verdict, result.stdout, len(result.charts))
    return [] if got == ("ok", "42\n", 1) else [f"a fresh job: {got}, {result.error}"]


def _judge_stop(rig: Rig) -> list[str]:
    rig.process.terminate()
    code = rig.process.wait(20)
    problems = [f"it left with {code}"] if code else []
    left = sorted(set(os.listdir(rig.directory)) - {"key", "lock"})
    return problems + [f"left behind: {what}" for what in (rig.processes(), left, os.listdir(rig.temp)) if what]

"""One run: start, load, faults, wait until it is quiet, judge."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from tests.faults import invariants, load
from tests.faults.injectors import NoVictim, Scene, inject
from tests.faults.invariants import Window
from tests.faults.peers import CountingPeer
from tests.faults.plan import ClientPlan, FaultPlan, Plan
from tests.faults.programs import Outcome
from tests.faults.rig import QUEUE_WAIT_S, Broken, Rig
from tests.faults.watch import Watch
from tests.support import ROOT, environment

_FAULTS_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to.

    Attributes:
        problems: broken invariants; empty when all held.
        verdicts: how many calls ended how.
        windows: what was done.
        log: the daemon's, kept only where something was broken.
    """

    problems: tuple[str, ...]
    verdicts: Counter[str]
    windows: tuple[Window, ...]
    log: str


class _Run:
    def __init__(self, plan: Plan, module: Sequence[str], say: Callable[[str], None], patience_s: float) -> None:
        self._plan, self._say, self._patience_s = plan, say, patience_s
        self._rig = Rig(plan.on_disk, module)
        self._outcomes: list[Outcome] = []
        self._windows: list[Window] = []
        self._problems: list[str] = []
        self._raw: list[CountingPeer] = []

    def go(self) -> Report:
        try:
            self._rig.start()
            baseline = invariants.settle(self._rig)
            watch = Watch(self._rig)
            watch.start()
            scene = self._load_and_harm()
            watch.close()
            self._problems += scene.problems
            self._problems += invariants.judge_quiet(
                self._rig, self._patience_s
            )  # whose time is also a second reply's to come
            self._problems += invariants.judge_jobs(self._outcomes, self._windows, watch)
            self._problems += invariants.judge_silences(self._windows, watch)
            self._problems += invariants.judge_starts(self._rig, self._windows)
            self._problems += self._judge_raw()
            for peer in self._raw:
                peer.close()
            self._problems += invariants.judge_end(self._rig, baseline, watch, self._patience_s)
        except (Broken, psutil.Error) as problem:  # psutil's, where the daemon is gone
            self._problems.append(str(problem))
        finally:
            for peer in self._raw:
                peer.close()
            if hasattr(self._rig, "process"):
                self._problems += invariants.judge_log(self._rig, self._windows)
            log = self._rig.log.read_text(errors="replace") if self._problems and self._rig.log.exists() else ""
            self._rig.close()
        verdicts = Counter(outcome.verdict for outcome in self._outcomes)
        return Report(tuple(self._problems), verdicts, tuple(self._windows), log)

    def _load_and_harm(self) -> Scene:
        plan, rig = self._plan, self._rig
        began_s = time.monotonic()
        until_s = began_s + plan.seconds
        processes: list[subprocess.Popen[bytes]] = []
        scene = Scene(rig, processes, self._on_daemon_killed)
        callers: list[threading.Thread] = []
        key = (rig.directory / "key").read_bytes()
        for index, client in enumerate(plan.clients):
            if client.kind == "raw":
                self._raw.append(CountingPeer(rig.address, key, client))
                self._raw[-1].start(until_s)
            else:
                callers.append(self._caller(client, index, until_s, processes))
        faults = [
            threading.Thread(target=self._harm, args=(scene, fault, began_s), daemon=True) for fault in plan.faults
        ]
        for thread in (*callers, *faults):
            thread.start()
        for thread in faults:
            thread.join(_FAULTS_S)
        self._wait_for_calls(callers)
        rig.configure()
        return scene

    def _caller(
        self, client: ClientPlan, index: int, until_s: float, processes: list[subprocess.Popen[bytes]]
    ) -> threading.Thread:
        name = f"{client.kind} {index}"
        if client.kind == "process":
            plan = self._plan
            arguments = [str(plan.seed), str(plan.seconds), str(index), str(until_s)]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.caller", self._rig.address, *arguments],
                env=environment(),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            processes.append(process)
            return threading.Thread(target=self._read, args=(process,), daemon=True, name=name)
        work = load.run_async if client.kind == "async" else load.run_threads
        arguments_of_work = (self._rig.address, client, until_s, name, self._outcomes.append)
        return threading.Thread(target=work, args=arguments_of_work, daemon=True, name=name)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.endswith(b"\n"):  # one that was killed may have been writing
                    self._outcomes.append(Outcome(**json.loads(line)))
        code = process.wait()
        if code not in (0, -9):
            self._problems.append(f"a client process ended with {code}")

    def _wait_for_calls(self, callers: Sequence[threading.Thread]) -> None:
        due_s = time.monotonic() + QUEUE_WAIT_S + self._patience_s
        for thread in callers:
            thread.join(max(0.0, due_s - time.monotonic()))
            if thread.is_alive():
                self._problems.append(f"calls of {thread.name} have not ended")
        pause = threading.Event()
        due_s = time.monotonic() + self._patience_s
        while any(peer.waiting() for peer in self._raw) and time.monotonic() < due_s:
            pause.wait(0.02)
        for peer in self._raw:
            self._outcomes += [outcome for outcome in peer.outcomes.values() if outcome.verdict]

    def _judge_raw(self) -> list[str]:
        problems = []
        for peer in self._raw:
            problems += peer.problems
            if all(window.kind != "daemon_emfile" for window in self._windows):  # which closes connections
                problems += [f"job {job_id}: no reply" for job_id in peer.waiting()]
            problems += [f"job {job_id}: {count} replies" for job_id, count in peer.replies.items() if count > 1]
        return problems

    def _on_daemon_killed(self) -> None:
        for peer in self._raw:
            peer.give_up()

    def _harm(self, scene: Scene, fault: FaultPlan, began_s: float) -> None:
        threading.Event().wait(max(0.0, began_s + fault.at_s - time.monotonic()))
        from_s = time.monotonic()
        try:
            done = inject(scene, fault)
        except NoVictim as nobody:
            done = f"nothing: {nobody}"
        except Exception as problem:
            done = f"failed: {problem!r}"
            self._problems.append(f"{fault.kind} {fault.variant}: {problem!r}")
        self._say(f"{fault.at_s:6.2f} s  {fault.kind} {fault.variant} for {fault.hold_s:g} s: {done}")
        if not done.startswith("nothing"):
            self._windows.append(Window(fault.kind, fault.variant, from_s, time.monotonic(), done))


def run(
    plan: Plan,
    *,
    module: Sequence[str] = ("warmfork",),
    say: Callable[[str], None] = lambda line: None,
    patience_s: float = 25.0,
) -> Report:
    """Carry out a plan against a daemon of its own.

    Args:
        plan: as drawn.
        module: what Python is given to run as the daemon.
        say: called with each thing that was done.
        patience_s: with calls that have not ended once the faults are over, and then with a daemon that is not quiet.
    """
    return _Run(plan, module, say, patience_s).go()


def keep_log(report: Report, seed: int) -> Path | None:
    """Write the daemon's log of a broken run where it can be read afterwards."""
    if not report.log:
        return None
    fd, name = tempfile.mkstemp(prefix=f"wf-faults-{seed}-", suffix=".log")
    with open(fd, "w") as file:
        file.write(report.log)
    return Path(name)

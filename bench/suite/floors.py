"""What no system can go below: the same code warm in one process, a bare echo, and bare forks."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import zmq
from bench.suite.floor_process import serve_echo, serve_floor
from bench.suite.systems import ECHO, FLOOR, ROOT, Done, Unavailable, WrongAnswer, check, child_environment
from bench.suite.workloads import Workload

_HERE: Final = Path(__file__).resolve().parent
_FORKS: Final = 200


class FloorProcess:
    """One process with the libraries, which runs one workload over and over, warm, with matplotlib's own defaults."""

    def __init__(self) -> None:
        self._pipe: Any = None
        self._process: Any = None

    def start(self) -> None:
        """Start it and let it import."""
        os.environ["MPLBACKEND"] = "agg"  # inherited; this process draws nothing before its children have started
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve_floor, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.ask("ready")

    @property
    def pid(self) -> int:
        """Of the process."""
        return int(self._process.pid)

    def ask(self, what: str, *arguments: Any) -> Any:
        """Have it do something and give back what it says. Raises WrongAnswer with what it raised."""
        self.send(what, *arguments)
        return self.receive()

    def send(self, what: str, *arguments: Any) -> None:
        """Have it begin; several processes can so work at the same time."""
        self._pipe.send((what, arguments))

    def receive(self) -> Any:
        """What it says to the last ``send``."""
        went_well, answer = self._pipe.recv()
        if not went_well:
            raise WrongAnswer(f"floor in process: {answer}")
        return answer

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._pipe.close()
            self._process.join(5)
            self._process.kill()
            self._process.join()
            self._process = None


class InProcess:
    """The floor of each workload, in a process for each, so that none warms or burdens another's caches."""

    name = FLOOR
    callers_max = 1
    costly = False

    def __init__(self) -> None:
        self._processes: dict[str, FloorProcess] = {}

    def start(self) -> None:
        """Processes are started with the first call of their workload, which is a warm-up."""

    def process_of(self, workload: Workload) -> FloorProcess:
        """The process of this workload."""
        if workload.letter not in self._processes:
            process = FloorProcess()
            process.start()
            self._processes[workload.letter] = process
        return self._processes[workload.letter]

    def call(self, workload: Workload) -> Done:
        """Run and render once; the time is taken within the process."""
        seconds, stdout, charts = self.process_of(workload).ask("run", workload.code, workload.formats)
        done = Done(seconds, stdout, tuple(charts))
        check(workload, done, self.name)
        return done

    def cpu_of(self, workload: Workload, times: int) -> float:
        """CPU seconds of one run."""
        return float(self.process_of(workload).ask("cpu", workload.code, workload.formats, times))

    def same_pixels(self, one: bytes, other: bytes) -> dict[str, float]:
        """How two PNGs differ: share of pixels, and the largest difference of a channel, 0 to 255."""
        process = next(iter(self._processes.values()))
        found: dict[str, float] = process.ask("compare", one, other)
        return found

    def forget(self, workload: Workload) -> None:
        """End the process of this workload."""
        process = self._processes.pop(workload.letter, None)
        if process is not None:
            process.stop()

    def stop(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.stop()
        self._processes.clear()


class Echo:
    """One byte to another process and back, DEALER to ROUTER over ipc: the floor of every request."""

    name = ECHO
    callers_max = 1
    costly = False

    def start(self) -> None:
        """Start the other process and connect."""
        self._directory = tempfile.mkdtemp(prefix="wf-echo-")
        address = f"ipc://{self._directory}/echo"
        self._process = multiprocessing.get_context("spawn").Process(target=serve_echo, args=(address,), daemon=True)
        self._process.start()
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.connect(address)

    def call(self, workload: Workload) -> Done:
        """There and back; the workload does not matter."""
        started_s = time.perf_counter()
        self._socket.send(b"x")
        self._socket.recv()
        return Done(time.perf_counter() - started_s)

    def stop(self) -> None:
        """End the other process."""
        self._socket.send(b"")
        self._process.join(5)
        self._process.kill()
        self._context.destroy(0)
        shutil.rmtree(self._directory, ignore_errors=True)


def forks(*, libraries: bool, run: str = "", times: int = _FORKS) -> dict[str, Any]:
    """Fork a single-threaded process over and over, one child after the other.

    Args:
        libraries: with numpy, pandas, matplotlib and seaborn imported; else a bare interpreter.
        run: what each child runs before it leaves by ``os._exit``; nothing without it.

    Returns:
        ``fork_s`` (the call alone), ``taken_s`` (until the child is reaped), ``cpu_s`` of one, ``faults`` of one.
    """
    program = [sys.executable, "-P", str(_HERE / "fork_program.py"), str(times), str(int(libraries)), run]
    ended = subprocess.run(program, capture_output=True, env=child_environment(), check=True, timeout=120)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def c_forks(times: int = _FORKS) -> list[float]:
    """Seconds of fork, exit and wait of a program written in C. Raises Unavailable where nothing compiles it."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler (cc)")
    with tempfile.TemporaryDirectory(prefix="wf-fork-") as directory:
        program = Path(directory) / "fork"
        built = subprocess.run(
            [compiler, "-O2", "-o", str(program), str(_HERE / "fork.c")], capture_output=True, text=True, check=False
        )
        if built.returncode:
            raise Unavailable(f"{compiler}: {built.stderr.strip()}")
        ended = subprocess.run([str(program), str(times)], capture_output=True, check=True, timeout=60)
    return [int(word) / 1e9 for word in ended.stdout.split()]


def fork_cost_by_size(*, quick: bool) -> list[dict[str, Any]]:
    """What ``bench/fork_cost.py --json`` prints: the price of a fork against the size of the template; quick, of one kind.

    Raises:
        Unavailable: there is no such program, or it did not end well.
    """
    program = ROOT / "bench" / "fork_cost.py"
    if not program.exists():
        raise Unavailable("bench/fork_cost.py is not there")
    arguments = ["--json", *(("--rounds", "3", "--megabytes", "0", "1024", "--kinds", "small") if quick else ())]
    environment = child_environment()
    environment["PYTHONPATH"] = os.pathsep.join(
        [environment["PYTHONPATH"], *(str(ROOT / name) for name in ("daemon", "worker"))]
    )
    try:
        ended = subprocess.run(
            [sys.executable, str(program), *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=60 if quick else 300,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("bench/fork_cost.py took too long") from None
    if ended.returncode:
        raise Unavailable(" ".join(ended.stderr.split()[-30:]) or f"bench/fork_cost.py ended with {ended.returncode}")
    try:
        rows: list[dict[str, Any]] = json.loads(ended.stdout)
        return rows
    except ValueError:
        raise Unavailable("bench/fork_cost.py --json printed no JSON") from None

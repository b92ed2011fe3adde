"""What the floor's own processes run. A process of its own: the one that measures must stay without the libraries."""

from __future__ import annotations

import gc
import importlib
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.suite import job


def serve_floor(pipe: Any) -> None:
    """Do what the pipe says until it closes."""
    job.load_libraries()
    table: dict[str, Callable[..., Any]] = {
        "ready": lambda: None,
        "run": _run,
        "cpu": _cpu,
        "burst": _burst,
        "compare": _compare,
    }
    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = table[what](*arguments)
        except Exception as problem:
            pipe.send((False, f"{type(problem).__name__}: {problem}"))
        else:
            pipe.send((True, answer))


def serve_echo(address: str) -> None:
    """Send back whatever comes, until an empty message."""
    zmq: Any = importlib.import_module("zmq")
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(address)
    while True:
        routing_id, message = socket.recv_multipart()
        if not message:
            return
        socket.send_multipart([routing_id, message])


def _run(code: str, formats: Sequence[str]) -> tuple[float, str, list[bytes]]:
    """The code and its charts, timed; closing the figures is not, which makes this floor the lower."""
    started_s = time.perf_counter()
    stdout, charts = job.run_job(code, formats)
    seconds = time.perf_counter() - started_s
    job.forget_figures()
    return seconds, stdout, charts


def _cpu(code: str, formats: Sequence[str], times: int) -> float:
    """CPU seconds of one run, the closing of figures and the collection of garbage within it."""
    gc.collect()
    started_s = time.process_time()
    for _ in range(times):
        job.run_job(code, formats)
        job.forget_figures()
    return (time.process_time() - started_s) / times


def _burst(code: str, formats: Sequence[str], seconds: float) -> list[float]:
    """Runs back to back for so long; seconds of each, with the closing of figures."""
    taken_s = []
    due_s = time.perf_counter() + seconds
    while time.perf_counter() < due_s:
        started_s = time.perf_counter()
        job.run_job(code, formats)
        job.forget_figures()
        taken_s.append(time.perf_counter() - started_s)
    return taken_s


def _compare(one: bytes, other: bytes) -> dict[str, float]:
    """Pixels of two PNGs: which share differs, and by how much at most."""
    image: Any = importlib.import_module("matplotlib.image")
    numpy: Any = importlib.import_module("numpy")
    first, second = (image.imread(io.BytesIO(data), format="png") for data in (one, other))
    if first.shape != second.shape:
        return {"differing": 1.0, "most": 255.0}
    gaps = numpy.abs(first - second).max(axis=-1)
    return {"differing": float((gaps > 0).mean()), "most": float(gaps.max() * 255)}

"""Running one job inside a guarded worker: files in, policy on, code, figures, report."""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import os
import resource
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from warmfork.wire import limits
from warmfork.wire.jobs import JobOrder, JobReport, ReportedChart, decode_order, encode_order, encode_report
from warmfork.wire.records import ErrorInfo
from warmfork.wire.stream import prefix_of, read_frames
from warmfork.wire.values import unpack_variables
from warmfork_worker import streams
from warmfork_worker.figures import Rendering, render_open_figures
from warmfork_worker.hot_pages import HotPages
from warmfork_worker.kernel.rlimits import lower
from warmfork_worker.namespace import FILE_NAME, make_main, presets
from warmfork_worker.outcome import Outcome, clean_text, outcome_of, show_source, word_for
from warmfork_worker.policy import Guard
from warmfork_worker.slots import Slot

CJK_FAMILY_WORD: Final = "warmfork-cjk"

_OK: Final = Outcome("ok")
_monotonic_s: Final = time.monotonic  # a job may put something else in its place


def order_for(code: bytes) -> bytes:
    """An order for this code, as the daemon sends it, with limits that bind nothing."""
    order = JobOrder(code, None, None, (), ("png",), "strict", {}, 1, 1, 1, _NO_BOUND_BYTES, _NO_BOUND_S)
    frames = encode_order(order)
    return prefix_of(frames) + b"".join(frames)


_NO_BOUND_BYTES: Final = 1 << 46
_NO_BOUND_S: Final = 86_400
_ORDER_FOR_NOTHING: Final = order_for(b"print(end='')")


def settle_for_code(guard: Guard, work_dir: str, temp_dir: str) -> None:
    """Make the interpreter look as if it had just been started for the code of a job with these directories."""
    sys.argv[:] = [FILE_NAME]
    sys.path.insert(0, work_dir)
    atexit._clear()  # the template's handlers are not a job's to run
    guard.settle(work_dir=work_dir, temp_dir=temp_dir, presets=presets)


def dry_run(guard: Guard, slot: Slot) -> None:
    """While the worker waits: what any job touches, touched.

    Every page that parent and child share costs microseconds at its first write, and code that has not run in a process yet
    is slower the first time, wherever its pages are: a dry run pays for what each job would meet between dispatch and report.
    """
    guard.touch()
    lower(resource.RLIMIT_CORE, 0, 0)  # what it is already
    exec(compile("print(end='')", FILE_NAME, "exec", dont_inherit=True), make_main(builtins, {}))
    outcome = _finish(_OK, slot)
    rendering = render_open_figures(
        ("png",), work_dir=slot.work_dir, charts_max=0, chart_bytes_max=0, total_bytes_max=0
    )
    prefix_of(encode_report(_report(outcome, rendering, (_monotonic_s(),) * 4)))
    decode_order(read_frames(lambda: _ORDER_FOR_NOTHING) or [])
    show_source("")


def run_job(order: JobOrder, guard: Guard, slot: Slot, cjk_family: str, hot_pages: HotPages | None = None) -> JobReport:
    """Run the job and render its figures. The guard of the kernel must stand before this is called.

    Args:
        order: the job.
        guard: the Python-level policies, built in the template.
        slot: the worker's private directories.
        cjk_family: what ``warmfork-cjk`` in ``rc`` stands for.
        hot_pages: which memory drawing writes to, where that is known.
    """
    received_s = _monotonic_s()
    if hot_pages is not None:
        hot_pages.populate_for(order.code, order.memory_bytes)
    outcome, compiled_s = _run(order, guard, slot, cjk_family)
    outcome = _finish(outcome, slot)
    executed_s = _monotonic_s()
    # The renderer reports its own failures; what could still come through is a MemoryError between its lines.
    try:
        rendering = render_open_figures(
            order.formats,
            work_dir=slot.work_dir,
            charts_max=order.charts_max,
            chart_bytes_max=order.chart_bytes_max,
            total_bytes_max=order.charts_bytes_max,
        )
    except MemoryError as problem:
        rendering = Rendering((), 1, ())
        if outcome.word == "ok":
            outcome = outcome_of(problem, slot.work_dir)
    if rendering.problems:
        _tell_problems(rendering)
    return _report(outcome, rendering, (received_s, compiled_s, executed_s, _monotonic_s()))


def _run(order: JobOrder, guard: Guard, slot: Slot, cjk_family: str) -> tuple[Outcome, float]:
    """Set up, compile, execute: the outcome, and when it was compiled (or was found not to be to)."""
    try:
        if order.files:
            _write_files(order, slot)
        variables = {} if order.variables is None else unpack_variables(order.variables)
        if order.rc:
            _set_rc(order.rc, cjk_family)
        if order.stdin is not None:
            streams.replace_input(bytes(order.stdin))
        code = str(order.code, "utf-8")
        show_source(code)
    except Exception as problem:
        message = clean_text(f"the job's inputs could not be set up: {problem}", 4_000)
        sys.stderr.write(message + "\n")
        return Outcome(word_for(problem), ErrorInfo(type(problem).__name__, message)), _monotonic_s()
    compiled_s = 0.0
    try:
        # Before the policy is on, which would be asked about it.
        program = compile(code, FILE_NAME, "exec", dont_inherit=True)
        user_builtins = guard.enter(
            order.policy,  # type: ignore[arg-type]  # which refuses another word
            work_dir=slot.work_dir,
            temp_dir=slot.temp_dir,
            stdin_given=order.stdin is not None,
            presets=presets,
        )
        namespace = make_main(user_builtins, variables)
        compiled_s = _monotonic_s()
        exec(program, namespace)
    except BaseException as problem:  # SystemExit and KeyboardInterrupt end a job like any other exception
        return outcome_of(problem, slot.work_dir), compiled_s or _monotonic_s()
    return _OK, compiled_s


def _write_files(order: JobOrder, slot: Slot) -> None:
    for file in order.files:
        path = os.path.join(slot.work_dir, file.name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "wb") as target:
            target.write(file.data)


def _set_rc(rc: Mapping[str, Any], cjk_family: str) -> None:
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None:
        raise ValueError("rc is given and matplotlib is not installed in this template")
    for key, value in rc.items():
        if isinstance(value, list):
            known = [item for item in value if cjk_family or item != CJK_FAMILY_WORD]
            value = [cjk_family if item == CJK_FAMILY_WORD else item for item in known]
        matplotlib.rcParams[key] = value


def _finish(outcome: Outcome, slot: Slot) -> Outcome:
    """What Python does between the last line and the exit: wait for threads, run atexit handlers."""
    try:
        if _thread._count():  # of threads begun by Python, this one aside
            _join_threads()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as problem:
        if outcome.word == "ok" and not isinstance(problem, (ValueError, OSError, AttributeError)):
            return outcome_of(problem, slot.work_dir)  # a closed or replaced stream is no failure of the job
    return outcome


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _tell_problems(rendering: Rendering) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the job may have closed or replaced its own stderr
        sys.stderr.write("".join(f"warmfork: {problem}\n" for problem in rendering.problems))


def _report(outcome: Outcome, rendering: Rendering, times_s: tuple[float, ...]) -> JobReport:
    if not rendering.charts:
        return JobReport(outcome.word, outcome.error, outcome.exit_code, (), rendering.dropped, times_s)
    charts = tuple(
        ReportedChart(
            chart.media_type,
            chart.width_px,
            chart.height_px,
            chart.figure_number,
            clean_text(chart.title, limits.TITLE_CHARS_MAX)[: limits.TITLE_CHARS_MAX],
            chart.data,
            chart.file_name,
        )
        for chart in rendering.charts
    )
    return JobReport(outcome.word, outcome.error, outcome.exit_code, charts, rendering.dropped, times_s)

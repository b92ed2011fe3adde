"""The clients: threads on one ``Client``, tasks on one ``AsyncClient``, processes of their own.

Each works off its lanes until the time is over, and every call that was begun comes to an ``Outcome``.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tests.faults.plan import ClientPlan, JobPlan
from tests.faults.programs import Outcome, arguments_of, note_result, note_text

from warmfork import AsyncClient, Client, WarmforkError

CONNECT_S: Final = 1.0
UNREACHABLE: Final = "raised:DaemonUnreachable"
_RETRY_CANCEL_S: Final = 0.01
_PAUSE_S: Final = 0.3

Report = Callable[[Outcome], None]


def run_threads(address: str, plan: ClientPlan, until_s: float, name: str, report: Report) -> None:
    """Work off the lanes of a client, a thread each, until ``until_s`` by the monotonic clock; returns when all have ended."""
    with Client(address, connect_timeout_s=CONNECT_S) as client:
        threads = [
            threading.Thread(target=_run_lane, args=(client, lane, until_s, name, report), daemon=True)
            for lane in plan.lanes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _run_lane(client: Client, lane: Sequence[JobPlan], until_s: float, name: str, report: Report) -> None:
    for job in lane:
        if time.monotonic() >= until_s:
            return
        outcome = Outcome(job.job_id, job.kind, name, time.monotonic())
        over = threading.Event()
        canceller = threading.Thread(target=_cancel, args=(client, job, outcome, over), daemon=True)
        if job.kind == "cancelled":
            canceller.start()
        streamed: dict[str, str] | None = {"stdout": "", "stderr": ""} if job.stream else None
        try:
            result = client.execute(**arguments_of(job), retries=job.retries, on_output=_listener(outcome, streamed))
        except Exception as problem:
            _note_raised(outcome, problem)
        else:
            note_result(outcome, job, result, streamed)
        outcome.ended_s = time.monotonic()
        over.set()
        if job.kind == "cancelled":
            canceller.join()
        report(outcome)
        if outcome.verdict == UNREACHABLE:
            threading.Event().wait(_PAUSE_S)  # or a plan's jobs would be over before the daemon is back


def _listener(outcome: Outcome, streamed: dict[str, str] | None) -> Callable[[Any, str], None] | None:
    if streamed is None:
        return None

    def listen(stream: str, text: str) -> None:
        streamed[stream] += text
        note_text(outcome, text, f"streamed {stream}")

    return listen


def _note_raised(outcome: Outcome, problem: Exception) -> None:
    outcome.verdict, outcome.detail = f"raised:{type(problem).__name__}", str(problem)[:300]
    if type(problem).__name__ == "DaemonUnreachable":
        outcome.retry_safe = True  # by the library's word: nothing was submitted
    elif not isinstance(problem, WarmforkError):
        outcome.problems.append(f"raised {problem!r}")


def _cancel(client: Client, job: JobPlan, outcome: Outcome, over: threading.Event) -> None:
    """Ask to cancel until the daemon knows the job, or its call is over."""
    pause_s = job.cancel_after_s
    while not over.wait(pause_s):
        with contextlib.suppress(WarmforkError):
            outcome.cancel = client.cancel(job.job_id)
            if outcome.cancel != "unknown":
                return
        pause_s = _RETRY_CANCEL_S


def run_async(address: str, plan: ClientPlan, until_s: float, name: str, report: Report) -> None:
    """The same with tasks on one event loop and one connection."""

    async def run() -> None:
        async with AsyncClient(address, connect_timeout_s=CONNECT_S) as client:
            await asyncio.gather(*(_run_async_lane(client, lane, until_s, name, report) for lane in plan.lanes))

    asyncio.run(run())


async def _run_async_lane(
    client: AsyncClient, lane: Sequence[JobPlan], until_s: float, name: str, report: Report
) -> None:
    for job in lane:
        if time.monotonic() >= until_s:
            return
        outcome = Outcome(job.job_id, job.kind, name, time.monotonic())
        streamed: dict[str, str] | None = {"stdout": "", "stderr": ""} if job.stream else None
        call = asyncio.create_task(
            client.execute(**arguments_of(job), retries=job.retries, on_output=_listener(outcome, streamed))
        )
        try:
            result = await (_cancelled(client, job, outcome, call) if job.kind == "cancelled" else call)
        except Exception as problem:
            _note_raised(outcome, problem)
        else:
            note_result(outcome, job, result, streamed)
        outcome.ended_s = time.monotonic()
        report(outcome)
        if outcome.verdict == UNREACHABLE:
            await asyncio.sleep(_PAUSE_S)


async def _cancelled(client: AsyncClient, job: JobPlan, outcome: Outcome, call: asyncio.Task[Any]) -> Any:
    pause_s: float = job.cancel_after_s
    while not (await asyncio.wait([call], timeout=pause_s))[0]:
        with contextlib.suppress(WarmforkError):
            outcome.cancel = await client.cancel(job.job_id)
            if outcome.cancel != "unknown":
                break
        pause_s = _RETRY_CANCEL_S
    waiting: Awaitable[Any] = call
    return await waiting

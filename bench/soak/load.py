"""The clients: at a steady rate, whatever the daemon does, each for a while and then replaced by a new connection."""

from __future__ import annotations

import asyncio
import collections
import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from bench.soak import jobs

from warmfork import AsyncClient
from warmfork.errors import WarmforkError
from warmfork.results import Result
from warmfork.wire.messages import decode_reply
from warmfork.wire.replies import Reply, ResultReply

SESSION_S: Final = 20.0
IN_FLIGHT_MAX: Final = 24
"""Of all clients together. On a machine that cannot keep up, the rate falls instead of the queue growing."""
ANSWER_S: Final = 2 * jobs.PATIENT_S
"""After this a job counts as lost; the client by itself would wait as long as jobs may queue."""
_CANCEL_AGAIN_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Answer:
    """What one job came to.

    Attributes:
        at_s: when it came, by the monotonic clock.
        kind: of the job.
        verdict: of the result, or ``raised``.
        latency_s: what its caller waited.
        problem: what is wrong with it; empty for the right answer.
    """

    at_s: float
    kind: str
    verdict: str
    latency_s: float
    problem: str


class Load:
    """All clients together.

    Args:
        address, key: of the daemon.
        clients: how many connections.
        rate: jobs per second, of all together.
        seed: of the order of jobs.

    Attributes:
        submitted: jobs that were begun.
        answers: of all jobs that have ended.
        replies: how many results came for each job id, by what was on the wire.
    """

    def __init__(self, address: str, key: bytes, *, clients: int, rate: float, seed: int) -> None:
        self._address, self._key = address, key
        self._clients, self._pause_s = clients, clients / rate
        draw = random.Random(seed)
        self._kinds: Iterator[str] = itertools.chain.from_iterable(jobs.deck(draw) for _ in itertools.count())
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self.submitted = 0
        self.answers: list[Answer] = []
        self.replies: collections.Counter[bytes] = collections.Counter()

    async def run(self, until_s: float) -> None:
        """Submit jobs until ``until_s`` by the monotonic clock, and wait for the answer to the last."""

        def counted(frames: Any) -> Reply:
            # Below the client, which by itself would drop a second reply without a word.
            reply = decode_reply(frames)
            if isinstance(reply, ResultReply):
                self.replies[reply.id] += 1
            return reply

        with mock.patch("warmfork.aio.decode_reply", counted):
            await asyncio.gather(*(self._run_client(number, until_s) for number in range(self._clients)))

    def doubled(self) -> list[str]:
        """Jobs with other than one result on the wire."""
        return [f"job {job_id.hex()} has {number} results" for job_id, number in self.replies.items() if number != 1]

    async def _run_client(self, number: int, until_s: float) -> None:
        """One connection after the other; their ends are spread out so that not all are new at the same moment."""
        session_s = SESSION_S * (number + 1) / self._clients
        due_s = time.monotonic() + self._pause_s * number / self._clients
        while time.monotonic() < until_s:
            ends_s = min(time.monotonic() + session_s, until_s)
            async with AsyncClient(self._address, key=self._key) as client, asyncio.TaskGroup() as calls:
                while due_s < ends_s:
                    await asyncio.sleep(due_s - time.monotonic())
                    await self._room.acquire()
                    calls.create_task(self._one(client, next(self._kinds)))
                    due_s = max(due_s, time.monotonic() - self._pause_s) + self._pause_s
            session_s = SESSION_S

    async def _one(self, client: AsyncClient, kind: str) -> None:
        self.submitted += 1
        mark = f"<<{self.submitted}:{random.getrandbits(64):016x}>>"
        started_s = time.monotonic()
        verdict, problem = "raised", ""
        try:
            async with asyncio.timeout(ANSWER_S):
                result = await _ask(client, kind, mark)
        except TimeoutError:
            problem = f"no answer within {ANSWER_S:g} s"
        except WarmforkError as error:
            problem = repr(error)
        else:
            verdict, problem = result.verdict, jobs.what_is_wrong(kind, mark, result)
        finally:
            self._room.release()
        now_s = time.monotonic()
        told = f"{kind} {mark} after {now_s - started_s:.2f} s: {problem}" if problem else ""
        self.answers.append(Answer(now_s, kind, verdict, now_s - started_s, told))


async def _ask(client: AsyncClient, kind: str, mark: str) -> Result:
    arguments = jobs.arguments_of(kind, mark)
    if kind != "cancelled":
        return await client.execute(**arguments)
    job_id = random.randbytes(16).hex()
    call = asyncio.create_task(client.execute(**arguments, job_id=job_id))
    pause_s = jobs.CANCEL_AFTER_S
    # Until the daemon knows the job: a cancellation may overtake it while the client still connects.
    while not (await asyncio.wait([call], timeout=pause_s))[0] and await client.cancel(job_id) == "unknown":
        pause_s = _CANCEL_AGAIN_S
    return await call

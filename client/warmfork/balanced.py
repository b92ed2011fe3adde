"""Clients of several daemons: each call goes to one of them.

One daemon has one loop and one template of a kind, and with many processors they are what stops it
(``docs/performance.md``, "More processors"). Several daemons side by side have neither in common, and what a caller needs is
somebody who divides the calls. The rules are in ``balance``; the calls themselves are made by a ``Client`` for each daemon.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, Unpack

from warmfork.aio import AsyncClient
from warmfork.balance import Balance, BalancedCall, by_number
from warmfork.client import Client
from warmfork.errors import DaemonUnreachable, KeyUnavailable, ReplyTimeout, WarmforkError
from warmfork.results import Result
from warmfork.streaming import ExecuteArguments, OnOutput, Run
from warmfork.wire.replies import HelloReply

_Member = TypeVar("_Member", Client, AsyncClient)
_Answer = TypeVar("_Answer")
_ADDRESSES: Final = ("ipc:///", "tcp://")


class _Balanced(Generic[_Member]):
    """The clients of the daemons, and how busy these are."""

    def __init__(self, daemons: Iterable[str | _Member], kind: type[_Member]) -> None:
        members = [] if isinstance(daemons, str) else list(daemons)
        if not members:
            raise ValueError(f"daemons is {daemons!r}; give a list with the address of each daemon")
        for member in members:
            if not isinstance(member, (str, kind)):
                raise TypeError(f"a daemon is {member!r}; give its address as text, or {kind.__name__}(...)")
            if isinstance(member, str) and not member.startswith(_ADDRESSES):
                raise ValueError(f"a daemon is {member!r}; its address begins with {' or '.join(_ADDRESSES)}")
        self._clients: list[_Member] = [kind(member) if isinstance(member, str) else member for member in members]
        self._balance = Balance(len(self._clients))

    @property
    def in_flight(self) -> list[int]:
        """Calls of this client in flight, by daemon, in their order."""
        return self._balance.in_flight


class BalancedClient(_Balanced[Client]):
    """Divides calls among several daemons; for the rest like ``Client``. One may be used by any number of threads at once.

    Args:
        daemons: address of each, such as ``ipc:///run/warmfork-1/warmfork.sock``, or a ``Client`` of it where it needs more
            than an address. They are closed with this one.

    Raises:
        ValueError: no daemon is given, or what cannot be the address of one.
        TypeError: a daemon is neither address nor client.
    """

    def __init__(self, daemons: Iterable[str | Client]) -> None:
        super().__init__(daemons, Client)

    def execute(self, code: str, *, on_output: OnOutput | None = None, **arguments: Unpack[ExecuteArguments]) -> Result:
        """Run code in a fresh worker of one daemon; arguments, result and errors as for ``Client.execute``.

        The daemon with the fewest calls of this client in flight is asked first. Where it does not answer or takes nothing in
        (``rejected``, or ``lost`` with ``retry_safe``), the others are, each once; what may have run is never sent to another.
        ``retries`` and ``retry_for_s`` are for further rounds among all of them. A ``job_id`` of your own is known to the daemon
        that has the job: a second call with it may come to another one, and run again there.

        Returns:
            The result. Where every daemon that answered turned the job away, what the one said that may take it soonest.

        Raises:
            DaemonUnreachable: no daemon answered, or the keys of those that may cannot be read; nothing was submitted.
            RequestRefused, ReplyTimeout, SignatureError, ValueNotCarried, ValueError, TypeError: as ``Client.execute``.
        """
        with BalancedCall(self._balance, arguments, time.monotonic) as call:
            while True:
                for index in iter(call.next_daemon, None):
                    try:
                        result = self._clients[index].execute(code, on_output=on_output, **call.arguments())
                    except (DaemonUnreachable, KeyUnavailable) as problem:
                        call.submitted_nothing(problem)
                        continue
                    except ReplyTimeout:
                        call.went_unanswered()
                        raise
                    if call.is_answered(result):
                        return result
                pause_s = call.next_round()
                if pause_s is None:
                    return call.outcome()
                time.sleep(pause_s)

    def cancel(self, job_id: str) -> str:
        """End a job of the same user wherever it is: ``"queued"``, ``"running"``, or ``"unknown"`` where no daemon knows it.

        A job that was turned away and has not come to the next daemon yet is not known to any; ask again.

        Raises:
            DaemonUnreachable: none of those that answered knows it, and one did not answer.
            ValueError: the id is none.
        """
        silent: dict[int, WarmforkError] = {}
        for index, client in enumerate(self._clients):
            try:
                outcome = client.cancel(job_id)
            except WarmforkError as problem:
                silent[index] = problem
                continue
            if outcome != "unknown":
                return outcome
        return _unknown(job_id, silent, len(self._clients))

    def status(self) -> list[Mapping[str, Any] | None]:
        """How each daemon is, in their order, as ``Client.status``; None for one that does not answer."""
        return [_or_none(client.status) for client in self._clients]

    def hello(self) -> list[HelloReply | None]:
        """Who each daemon is, in their order, as ``Client.hello``; None for one that does not answer."""
        return [_or_none(client.hello) for client in self._clients]

    def close(self) -> None:
        """Close every connection, as ``Client.close``."""
        for client in self._clients:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncBalancedClient(_Balanced[AsyncClient]):
    """Like ``BalancedClient``, awaited. Belongs to the event loop it is first used in; any number of its tasks may share it.

    Args:
        daemons: address of each, or an ``AsyncClient`` of it. They are closed with this one.

    Raises:
        ValueError, TypeError: as for ``BalancedClient``.
    """

    def __init__(self, daemons: Iterable[str | AsyncClient]) -> None:
        super().__init__(daemons, AsyncClient)

    async def execute(
        self, code: str, *, on_output: OnOutput | None = None, **arguments: Unpack[ExecuteArguments]
    ) -> Result:
        """As ``BalancedClient.execute``. Cancelling the awaiting task cancels the job."""
        with BalancedCall(self._balance, arguments, time.monotonic) as call:
            while True:
                for index in iter(call.next_daemon, None):
                    try:
                        result = await self._clients[index].execute(code, on_output=on_output, **call.arguments())
                    except (DaemonUnreachable, KeyUnavailable) as problem:
                        call.submitted_nothing(problem)
                        continue
                    except ReplyTimeout:
                        call.went_unanswered()
                        raise
                    if call.is_answered(result):
                        return result
                pause_s = call.next_round()
                if pause_s is None:
                    return call.outcome()
                await asyncio.sleep(pause_s)

    def stream(self, code: str, **arguments: Unpack[ExecuteArguments]) -> Run:
        """Run code and read its output while it runs, as ``AsyncClient.stream``."""
        return Run(lambda on_output: self.execute(code, **arguments, on_output=on_output))

    async def cancel(self, job_id: str) -> str:
        """As ``BalancedClient.cancel``."""
        silent: dict[int, WarmforkError] = {}
        for index, client in enumerate(self._clients):
            try:
                outcome = await client.cancel(job_id)
            except WarmforkError as problem:
                silent[index] = problem
                continue
            if outcome != "unknown":
                return outcome
        return _unknown(job_id, silent, len(self._clients))

    async def status(self) -> list[Mapping[str, Any] | None]:
        """As ``BalancedClient.status``."""
        return await asyncio.gather(*(_or_none_async(client.status()) for client in self._clients))

    async def hello(self) -> list[HelloReply | None]:
        """As ``BalancedClient.hello``."""
        return await asyncio.gather(*(_or_none_async(client.hello()) for client in self._clients))

    async def close(self) -> None:
        """Close every connection, as ``AsyncClient.close``."""
        for client in self._clients:
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _or_none(ask: Callable[[], _Answer]) -> _Answer | None:
    try:
        return ask()
    except WarmforkError:
        return None


async def _or_none_async(answer: Awaitable[_Answer]) -> _Answer | None:
    try:
        return await answer
    except WarmforkError:
        return None


def _unknown(job_id: str, silent: Mapping[int, WarmforkError], count: int) -> str:
    """What it means that no daemon of those that answered knows a job. Raises DaemonUnreachable."""
    if not silent:
        return "unknown"
    raise DaemonUnreachable(
        f"{count - len(silent)} of {count} daemons do not know the job {job_id}, and the others did not answer, so that it may "
        f"still run there: {by_number(silent)}"
    )

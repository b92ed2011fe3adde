"""An asynchronous connection that ends while something is being sent by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import zmq.asyncio

from warmfork.aio import _AsyncLink
from warmfork.errors import DaemonUnreachable
from warmfork.wire.requests import HelloRequest


async def _close_while_sending(address: str, *, cancelled: bool) -> None:
    context = zmq.asyncio.Context()
    link = _AsyncLink(context, address, b"")
    asked = asyncio.create_task(link.ask(HelloRequest(bytes(16)), 10, send_s=10))
    await asyncio.sleep(0)  # it waits for a connection now
    if cancelled:
        asked.cancel()
    link.close()
    try:
        await asked
    finally:
        context.destroy(0)


def test_what_was_not_sent_says_so(tmp_path: Path) -> None:
    """A call whose connection another call closes has not been submitted: it ends as DaemonUnreachable, not as cancelled."""
    with pytest.raises(DaemonUnreachable, match="no connection to"):
        asyncio.run(_close_while_sending(f"ipc://{tmp_path}/nobody", cancelled=False))


def test_a_cancelled_call_is_cancelled(tmp_path: Path) -> None:
    """Whoever cancels the task itself gets what asyncio promises."""
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_close_while_sending(f"ipc://{tmp_path}/nobody", cancelled=True))


def test_a_connection_that_was_closed_takes_nothing(tmp_path: Path) -> None:
    """A call that comes to a connection just after another closed it has not been submitted either."""

    async def ask_after_close() -> None:
        context = zmq.asyncio.Context()
        link = _AsyncLink(context, f"ipc://{tmp_path}/nobody", b"")
        link.close()
        try:
            await link.ask(HelloRequest(bytes(16)), 10, send_s=10)
        finally:
            context.destroy(0)

    with pytest.raises(DaemonUnreachable, match="no connection to"):
        asyncio.run(ask_after_close())

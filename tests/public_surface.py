"""The public surface as its users type it: checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from warmfork import (
    AsyncBalancedClient,
    AsyncClient,
    BalancedClient,
    Chart,
    Client,
    ErrorInfo,
    Phases,
    Result,
    Usage,
    Verdict,
    embedded,
)
from warmfork.compat import AsyncCodeExecutor
from warmfork.streaming import OutputChunk


def synchronous(client: Client) -> None:
    result = client.execute(
        "print(1)",
        variables={"sales": [1, 2, 3]},
        files={"a.csv": b"x"},
        stdin="text",
        timeout_s=10,
        deadline_s=20,
        memory_bytes=512 << 20,
        formats=("png", "svg"),
        policy="strict",
        rc={"figure.dpi": 150},
        redact=True,
        tenant="session-1",
        priority="batch",
        retries=3,
        retry_for_s=30,
        on_output=lambda stream, text: print(stream, text.upper()),
    )
    assert_type(result, Result)
    assert_type(result.ok, bool)
    assert_type(result.queue_length, int | None)
    assert_type(result.verdict, Verdict)
    assert_type(result.error, ErrorInfo | None)
    assert_type(result.charts, tuple[Chart, ...])
    assert_type(result.files, Mapping[str, bytes])
    assert_type(result.usage, Usage)
    assert_type(result.usage.phases, Phases)
    assert_type(result.usage.phases.rendered_s, float)
    assert_type(client.cancel("00"), str)
    with embedded(policy="standard", workers=4) as private:
        assert_type(private, Client)


def over_tcp() -> None:
    Client("tcp://10.0.0.7:7070", server_key="x" * 40, client_key_file="a.key_secret", key_file="key")
    AsyncClient("tcp://10.0.0.7:7070", server_key_file="s.key", client_key_file="a.key_secret", key=b"")


def divided() -> None:
    with BalancedClient(["ipc:///run/warmfork-1/warmfork.sock", Client("tcp://10.0.0.7:7070")]) as client:
        assert_type(client.execute("print(1)", timeout_s=5, retries=2, on_output=lambda stream, text: None), Result)
        assert_type(client.cancel("00"), str)
        assert_type(client.in_flight, list[int])


async def divided_asynchronously() -> None:
    async with AsyncBalancedClient(["ipc:///run/warmfork-1/warmfork.sock", AsyncClient()]) as client:
        assert_type(await client.execute("print(1)", redact=True), Result)
        async with client.stream("print(1)") as run:
            assert_type(await run.result(), Result)


async def asynchronous(client: AsyncClient, executor: AsyncCodeExecutor) -> None:
    assert_type(await client.execute("print(1)", redact=True), Result)
    async with client.stream("print(1)", timeout_s=5, formats=("png",)) as run:
        async for chunk in run:
            assert_type(chunk, OutputChunk)
        assert_type(await run.result(), Result)
    await executor.execute("print(1)")

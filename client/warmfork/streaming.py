"""Output of a job while it runs: from messages to text, for a callback or an asynchronous loop.

What the callback gets is, all together, the ``stdout`` and ``stderr`` of the result, never more and never less: the
messages carry the beginning of each stream, and what they did not carry comes from the result itself at the end.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypedDict, cast

from msgspec import structs

from warmfork.results import Result
from warmfork.wire.records import STREAM_NAMES, StreamName
from warmfork.wire.replies import OutputReply

log = logging.getLogger("warmfork.client")

OnOutput = Callable[[StreamName, str], object]
"""Called with ``"stdout"`` or ``"stderr"`` and the next piece of its text, never cut within a character."""

_decoder_of_utf8: Final = codecs.getincrementaldecoder("utf-8")


class ExecuteArguments(TypedDict, total=False):
    """The keyword arguments of ``execute`` that describe a job."""

    variables: Mapping[str, Any] | None
    files: Mapping[str, bytes] | None
    stdin: str | bytes | None
    timeout_s: float | None
    deadline_s: float | None
    memory_bytes: int | None
    formats: Sequence[str]
    policy: str | None
    template: str | None
    rc: Mapping[str, Any] | None
    job_id: str | None
    redact: bool
    tenant: str
    priority: str
    retries: int | None
    retry_for_s: float | None


class _Stream:
    """How far one stream has come."""

    __slots__ = ("bytes_taken", "decoder", "text")

    def __init__(self) -> None:
        self.bytes_taken = 0
        self.decoder = _decoder_of_utf8("replace")
        self.text: list[str] = []


class OutputFeed:
    """Hands a job's output on to a callback.

    A callback that raises is not called again; the exception is logged, and the result is not touched by it.

    Args:
        on_output: the callback; with None nothing is kept or told.
    """

    def __init__(self, on_output: OnOutput | None) -> None:
        self._on_output = on_output
        self._wanted = on_output is not None
        self._streams = {name: _Stream() for name in STREAM_NAMES} if self._wanted else {}

    def take(self, message: OutputReply) -> None:
        """The next message of output. One that follows a gap is left out; the result has what is missing."""
        if not self._wanted:
            return
        stream = self._streams[message.stream]
        known = stream.bytes_taken - message.offset
        if known < 0 or known >= len(message.data):
            return
        data = bytes(message.data)[known:]
        stream.bytes_taken += len(data)
        self._tell(message.stream, stream, stream.decoder.decode(data))

    def finish(self, result: Result) -> Result:
        """Tell what the messages did not carry.

        Returns:
            The result; one that is ``lost`` with the connection has the output that had come by then.
        """
        if not self._wanted:
            return result
        told = {name: "".join(stream.text) for name, stream in self._streams.items()}
        if result.verdict == "lost" and not result.stdout and not result.stderr:
            return structs.replace(result, stdout=told["stdout"], stderr=told["stderr"])
        for name, whole in (("stdout", result.stdout), ("stderr", result.stderr)):
            if whole.startswith(told[name]):
                self._tell(name, self._streams[name], whole[len(told[name]) :])
        return result

    def _tell(self, name: str, stream: _Stream, text: str) -> None:
        if not text:
            return
        stream.text.append(text)
        if self._on_output is None:
            return
        try:
            self._on_output(cast(StreamName, name), text)
        except Exception:  # whatever it is: the job runs, and its result is worth more than a line on a screen
            self._on_output = None
            log.exception("on_output raised an exception and is not called again for this job")


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """A piece of a job's output.

    Attributes:
        stream: ``stdout`` or ``stderr``.
        text: the next characters of it.
    """

    stream: StreamName
    text: str


class Run:
    """A job whose output is read while it runs: ``async with client.stream(code) as run: async for chunk in run: ...``.

    Leaving the block before the job has ended cancels it.

    Args:
        start: executes the job with the callback that it is given.
    """

    def __init__(self, start: Callable[[OnOutput], Coroutine[Any, Any, Result]]) -> None:
        self._start = start
        self._chunks: asyncio.Queue[OutputChunk | None] = asyncio.Queue()
        self._task: asyncio.Task[Result] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._start(self._put))
        self._task.add_done_callback(lambda _: self._chunks.put_nowait(None))
        return self

    def _put(self, stream: StreamName, text: str) -> None:
        # Never more than the result's own bounds: no further one is needed.
        self._chunks.put_nowait(OutputChunk(stream, text))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> OutputChunk:
        chunk = await self._chunks.get()
        if chunk is not None:
            return chunk
        self._chunks.put_nowait(None)  # the end stays the end, however often it is asked for
        await self.result()  # what went wrong must not look like a job that printed nothing more
        raise StopAsyncIteration

    async def result(self) -> Result:
        """Wait for the job's result; errors as ``execute``."""
        if self._task is None:
            raise ValueError("a streamed job begins with 'async with'")
        return await asyncio.shield(self._task)

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # looked at, or asyncio complains; ``result`` and the loop raise it

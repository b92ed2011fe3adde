"""The asynchronous client: one connection, any number of calls in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack, cast

import zmq
import zmq.asyncio

from warmfork.curve import ClientKeys, keep_checked
from warmfork.discovery import Whereabouts, nobody_listens, unreachable
from warmfork.errors import DaemonUnreachable, ProtocolError, ReplyTimeout
from warmfork.exchange import (
    build_request,
    check_reply,
    new_id,
    require_redaction,
    result_from,
    wait_s_for,
)
from warmfork.link import Disconnected
from warmfork.results import Result
from warmfork.retrying import Attempts
from warmfork.streaming import ExecuteArguments, OnOutput, OutputFeed, Run
from warmfork.wire.messages import decode_reply, encode_request
from warmfork.wire.replies import CancelReply, HelloReply, OutputReply, Reply, StatusReply
from warmfork.wire.requests import CancelRequest, HelloRequest, Request, StatusRequest

_ANSWER_S = 5.0
_LAST_LOOK_MS = 20


class _AsyncLink:
    """One DEALER on the running loop: replies are handed to whoever waits for their id."""

    def __init__(self, context: zmq.asyncio.Context, address: str, key: bytes, curve: ClientKeys | None = None) -> None:
        self.address = address
        self.key = key
        self.hello: HelloReply | None = None
        self.alive = True
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}
        self._outputs: dict[bytes, Callable[[OutputReply], None]] = {}
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        # Without a connection a send must fail instead of waiting in a queue for a daemon that may never come.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        keep_checked(self._socket)
        if curve is not None:
            curve.put_on(self._socket, address)
        self._socket.connect(address)
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._watch())]

    async def ask(
        self,
        request: Request,
        timeout_s: float,
        *,
        send_s: float,
        on_output: Callable[[OutputReply], None] | None = None,
    ) -> Reply:
        """Send a request and wait for its reply; ``on_output`` gets each message of output before it.

        Raises:
            DaemonUnreachable: there is no connection to send by.
            Disconnected: the connection ended before the reply.
            TimeoutError: no reply in time.
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = future
        if on_output is not None:
            self._outputs[request.id] = on_output
        try:
            try:
                sent = self._send(request)
            except zmq.ZMQError:  # another call found the connection ended and closed it
                raise DaemonUnreachable(f"no connection to {self.address}") from None
            try:
                # Not by wait_for, whose version of Python 3.11 ends well where it is cancelled when the message has just left.
                async with asyncio.timeout(send_s):
                    await sent
            except (TimeoutError, zmq.ZMQError):
                if not sent.done() or sent.cancelled() or sent.exception() is not None:
                    raise DaemonUnreachable(f"no connection to {self.address}") from None
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self.alive or (task is not None and task.cancelling()):
                    raise
                # Not ours: another call found the connection ended and closed it, and pyzmq cancels what had not been sent.
                raise DaemonUnreachable(f"no connection to {self.address}") from None
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            self._waiting.pop(request.id, None)
            self._outputs.pop(request.id, None)
            _look_at(future)

    def tell(self, request: Request) -> asyncio.Future[Reply]:
        """Send a request for whose reply nobody need wait, at once where the connection takes it; the reply.

        Without a task of its own: one that is made while the loop ends is never waited for, and asyncio complains of it.
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = future
        future.add_done_callback(lambda _: self._waiting.pop(request.id, None))
        future.add_done_callback(_look_at)
        self._send(request).add_done_callback(_look_at)
        return future

    def _send(self, request: Request) -> asyncio.Future[Any]:
        return cast(asyncio.Future[Any], self._socket.send_multipart(encode_request(request)))

    async def _receive(self) -> None:
        while True:
            frames = await self._socket.recv_multipart(copy=False)
            try:
                reply = decode_reply([frame.buffer for frame in frames])
            except ProtocolError as problem:
                self._end(problem)
                return
            if isinstance(reply, OutputReply):
                on_output = self._outputs.get(reply.id)
                if on_output is not None:
                    on_output(reply)
                continue
            future = self._waiting.get(reply.id)
            if reply.id == bytes(len(reply.id)) and len(self._waiting) == 1:
                # The daemon could not read whose request it refuses; it can only be this one.
                future = next(iter(self._waiting.values()))
            if future is not None and not future.done():
                future.set_result(reply)

    async def _watch(self) -> None:
        await self._monitor.recv_multipart()
        # What the daemon sent before it left may still be on its way to ``_receive``.
        while await self._socket.poll(_LAST_LOOK_MS):
            await asyncio.sleep(0)
        self._end(Disconnected())

    def _end(self, problem: Exception) -> None:
        self.alive = False
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(problem)

    def close(self) -> None:
        self._end(Disconnected())
        for task in self._tasks:
            task.cancel()
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(0)


def _look_at(future: asyncio.Future[Any]) -> None:
    """Of an exception that nobody looked at asyncio warns."""
    if future.done() and not future.cancelled():
        future.exception()


class AsyncClient:
    """Like ``Client``, awaited. Belongs to the event loop it is first used in; any number of its tasks may share it.

    Args:
        address, key_file, key, connect_timeout_s, server_key, server_key_file, client_key_file: as for ``Client``.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        key_file: str | Path | None = None,
        key: bytes | None = None,
        connect_timeout_s: float = 1.0,
        server_key: str | None = None,
        server_key_file: str | Path | None = None,
        client_key_file: str | Path | None = None,
    ) -> None:
        self._where = Whereabouts(
            address, key, key_file, connect_timeout_s, server_key, server_key_file, client_key_file
        )
        self._context: zmq.asyncio.Context | None = None
        self._link: _AsyncLink | None = None
        self._connecting = asyncio.Lock()
        self._looked_s = 0.0
        self._found_nobody: DaemonUnreachable | None = None
        self._cancelling: set[asyncio.Future[Reply]] = set()

    async def execute(
        self,
        code: str,
        *,
        variables: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        stdin: str | bytes | None = None,
        timeout_s: float | None = None,
        deadline_s: float | None = None,
        memory_bytes: int | None = None,
        formats: Sequence[str] = ("png",),
        policy: str | None = None,
        template: str | None = None,
        rc: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        redact: bool = False,
        tenant: str = "",
        priority: str = "interactive",
        retries: int | None = None,
        retry_for_s: float | None = None,
        on_output: OnOutput | None = None,
    ) -> Result:
        """Run code in a fresh worker; arguments, result and errors as for ``Client.execute``.

        Cancelling the awaiting task cancels the job.
        """
        request = build_request(
            code,
            variables=variables,
            files=files,
            stdin=stdin,
            timeout_s=timeout_s,
            deadline_s=deadline_s,
            memory_bytes=memory_bytes,
            formats=formats,
            policy=policy,
            template=template,
            rc=rc,
            job_id=job_id,
            redact=redact,
            stream=on_output is not None,
            tenant=tenant,
            priority=priority,
        )
        feed = OutputFeed(on_output)
        attempts = Attempts(request, retries, retry_for_s, time.monotonic())
        while True:
            try:
                result = await self._attempt(attempts, feed)
            except DaemonUnreachable:
                pause_s = attempts.after_silence(time.monotonic())
                if pause_s is None and not attempts.resending:
                    raise
                result = attempts.lost()
            else:
                pause_s = attempts.after(result, time.monotonic())
            if pause_s is None:
                return feed.finish(result or attempts.lost())
            await asyncio.sleep(pause_s)

    async def _attempt(self, attempts: Attempts, feed: OutputFeed) -> Result | None:
        """Submit the job, or submit it again, and wait; None where the connection ended before the reply."""
        link = await self._connected()
        assert link.hello is not None
        request = attempts.begin(time.monotonic())
        if attempts.resending and not attempts.knows_us(link.hello.instance):
            return attempts.lost()
        if request.redact:
            require_redaction(link.hello)
        attempts.sent(link.hello.instance)
        wait_s = wait_s_for(request, link.hello)
        try:
            reply = await link.ask(request, wait_s, send_s=self._where.connect_timeout_s, on_output=feed.take)
        except Disconnected:
            return None
        except TimeoutError:
            self._cancel_later(request.id)
            raise ReplyTimeout(
                f"no reply to job {request.id.hex()} within {wait_s:g} s; the daemon was asked to cancel it. It may have run"
            ) from None
        except asyncio.CancelledError:
            self._cancel_later(request.id)
            raise
        return result_from(reply, request.id, link.key)

    def stream(self, code: str, **arguments: Unpack[ExecuteArguments]) -> Run:
        """Run code and read its output while it runs; arguments as for ``execute``.

        ``async with client.stream(code) as run:`` starts it, ``async for chunk in run:`` gives its output as
        ``OutputChunk`` (``stream``, ``text``) until it has ended, ``await run.result()`` its result. Leaving the block
        early cancels the job. Errors come from the loop and from ``result``, as from ``execute``.
        """
        return Run(lambda on_output: self.execute(code, **arguments, on_output=on_output))

    async def cancel(self, job_id: str) -> str:
        """As ``Client.cancel``."""
        return cast(CancelReply, await self._ask(CancelRequest(new_id(), bytes.fromhex(job_id)))).outcome

    async def status(self) -> Mapping[str, Any]:
        """As ``Client.status``."""
        return cast(StatusReply, await self._ask(StatusRequest(new_id()))).status

    async def hello(self) -> HelloReply:
        """As ``Client.hello``."""
        return cast(HelloReply, await self._ask(HelloRequest(new_id())))

    async def close(self) -> None:
        """Close the connection, after the cancellations that are on their way. Calls in flight end as ``lost``."""
        if self._cancelling:
            await asyncio.wait(self._cancelling, timeout=self._where.connect_timeout_s)
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._context is not None:
            self._context.destroy(0)
            self._context = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, request: Request) -> Reply:
        link = await self._connected()
        try:
            return check_reply(await link.ask(request, _ANSWER_S, send_s=self._where.connect_timeout_s))
        except Disconnected:
            raise unreachable({link.address: "the connection ended"}) from None
        except TimeoutError:
            raise ReplyTimeout(f"no answer within {_ANSWER_S:g} s; the daemon may be overloaded or stopped") from None

    def _cancel_later(self, job_id: bytes) -> None:
        """Tell the daemon, without making the cancelled task wait for it. Whoever is gone needs no cancelling."""
        link = self._link
        if link is None or not link.alive:
            return
        answered = link.tell(CancelRequest(new_id(), job_id))
        self._cancelling.add(answered)
        answered.add_done_callback(self._cancelling.discard)

    async def _connected(self) -> _AsyncLink:
        came_s = time.monotonic()
        async with self._connecting:
            if self._link is not None and self._link.alive:
                return self._link
            if self._link is not None:
                self._link.close()
                self._link = None
            if self._found_nobody is not None and self._looked_s >= came_s:
                # Looked for while this call waited its turn: each of many would wait for the same silence, one after the other.
                raise DaemonUnreachable(str(self._found_nobody))
            self._looked_s, self._found_nobody = time.monotonic(), None
            try:
                self._link = await self._find()
            except DaemonUnreachable as problem:
                self._found_nobody = problem
                raise
            return self._link

    async def _find(self) -> _AsyncLink:
        if self._context is None:
            self._context = zmq.asyncio.Context()
        tried: dict[str, str] = {}
        for address in self._where.addresses():
            reason = nobody_listens(address)
            if not reason:
                curve = self._where.curve_for(address)
                link = _AsyncLink(self._context, address, self._where.key_for(address), curve)
                timeout_s, start_s = self._where.connect_timeout_s, time.monotonic()
                try:
                    reply = await link.ask(HelloRequest(new_id()), timeout_s, send_s=timeout_s)
                    if isinstance(reply, HelloReply):
                        link.hello = reply
                        return link
                except (DaemonUnreachable, Disconnected, TimeoutError, ProtocolError):
                    pass
                except BaseException:
                    link.close()
                    raise
                link.close()
                reason = self._where.silence(curve, time.monotonic() - start_s)
            tried[address] = reason
        raise unreachable(tried)

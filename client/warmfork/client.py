"""The synchronous client."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import zmq

from warmfork.at_fork import renew_after_fork
from warmfork.curve import ClientKeys
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
from warmfork.link import Disconnected, Link
from warmfork.results import Result
from warmfork.retrying import Attempts
from warmfork.streaming import OnOutput, OutputFeed
from warmfork.wire.messages import encode_request
from warmfork.wire.replies import CancelReply, HelloReply, Reply, StatusReply
from warmfork.wire.requests import CancelRequest, HelloRequest, ReloadRequest, Request, StatusRequest

_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class _Daemon:
    address: str
    key: bytes
    curve: ClientKeys | None
    hello: HelloReply


class Client:
    """Talks to a warmfork daemon. One client may be used by any number of threads at once.

    Each call in flight has a connection of its own, kept for later calls. Nothing is connected before the first call;
    after the daemon has restarted, the next call finds it again. A forked child starts with no connection.

    Args:
        address: such as ``ipc:///run/warmfork/warmfork.sock`` or ``tcp://10.0.0.7:7070``. Without it:
            ``$WARMFORK_ADDRESS``, else the user's runtime directory, else the system's; the first that answers.
        key_file: file with the daemon's key. Without it: ``$WARMFORK_KEY_FILE``, else ``key`` beside the socket.
        key: the key itself, 32 bytes, in place of a file.
        connect_timeout_s: how long each address has to answer.
        server_key: for TCP, the daemon's public key, 40 characters. Without it: ``server_key_file``,
            ``$WARMFORK_SERVER_KEY``, ``$WARMFORK_SERVER_KEY_FILE``.
        server_key_file: for TCP, the file ``NAME.key`` with the daemon's public key.
        client_key_file: for TCP, the file ``NAME.key_secret`` with this client's keys. Without it:
            ``$WARMFORK_CLIENT_KEY_FILE``.
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
        self._renew_lock()
        renew_after_fork(self, Client._renew_lock)
        self._start_afresh()

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._context: zmq.Context[Any] = zmq.Context()
        self._idle: list[Link] = []
        self._in_flight = 0
        self._daemon: _Daemon | None = None
        self._closed = False

    def execute(
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
        """Run code in a fresh worker and wait for its result.

        Args:
            code: Python source.
            variables: globals of the code by name: plain data, carried as what it is.
            files: put into the working directory by relative path before the code runs.
            stdin: what ``input()`` reads.
            timeout_s: seconds of run time, rendering included; the daemon's default without it.
            deadline_s: seconds from now, waiting in the queue included; none without it.
            memory_bytes: memory above the idle worker; the daemon's default without it.
            formats: of every open figure: ``png``, ``svg``, ``pdf``, in the order wanted.
            policy: ``strict``, ``standard`` or ``off``, as far as the daemon allows it.
            template: name of one of ``hello().templates``; the daemon's default, ``science``, without it.
            rc: matplotlib settings applied before the code runs.
            job_id: 32 hexadecimal digits, to cancel the job by from elsewhere; random without it.
            redact: mask secrets in stdout, stderr and the error before they leave the daemon. A daemon that is set to
                redact always does.
            tenant: on whose behalf, at most 64 characters: tenants of one user (or key) take turns. It divides what the
                user gets and takes nothing from others.
            priority: ``interactive``, or ``batch``: after every interactive job of the same tenant.
            retries: further attempts for a job that was rejected, that is lost and certainly did not run, or that found no
                daemon, after the time that the daemon names and a random one. None: as many as ``retry_for_s`` lets.
            retry_for_s: seconds from now in which such an attempt may begin. Without both there is none. All attempts lie
                within ``deadline_s``.
            on_output: called in this thread with ``"stdout"`` or ``"stderr"`` and the next text of it, while the job
                runs; all together it is what the result has. With redaction, all of it comes at the end. An exception
                that it raises is logged, and it is not called again.

        Returns:
            The result, whatever became of the code; ``result.verdict`` says what.

        Raises:
            DaemonUnreachable: no daemon answered; nothing was submitted.
            RequestRefused: the daemon does not allow what was asked.
            ReplyTimeout: no reply within deadline (or queue and timeout) and a grace; the job was told to cancel.
            SignatureError: a chart is not what the daemon signed.
            KeyUnavailable: the key to verify charts, or a key that TCP needs, cannot be read.
            ValueNotCarried, ValueError, TypeError: an argument cannot be sent.
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
                result = self._attempt(attempts, feed)
            except DaemonUnreachable:
                pause_s = attempts.after_silence(time.monotonic())
                if pause_s is None and not attempts.resending:
                    raise
                result = attempts.lost()
            else:
                pause_s = attempts.after(result, time.monotonic())
            if pause_s is None:
                return feed.finish(result or attempts.lost())
            time.sleep(pause_s)

    def _attempt(self, attempts: Attempts, feed: OutputFeed) -> Result | None:
        """Submit the job, or submit it again, and wait; None where the connection ended before the reply."""
        request = attempts.begin(time.monotonic())
        if attempts.resending and not attempts.knows_us(self._known_hello().instance):
            return attempts.lost()
        if request.redact:
            require_redaction(self._known_hello())
        link, daemon = self._submit(request)
        attempts.sent(daemon.hello.instance)
        wait_s = wait_s_for(request, daemon.hello)
        try:
            reply = link.receive(request.id, wait_s, feed.take)
        except Disconnected:
            self._forget_daemon(link)
            return None
        except BaseException:
            self._cancel_quietly(request.id, daemon)
            self._forget(link)
            raise
        if reply is None:
            self._cancel_quietly(request.id, daemon)
            self._forget(link)
            raise ReplyTimeout(
                f"no reply to job {request.id.hex()} within {wait_s:g} s; the daemon was asked to cancel it. It may have run"
            )
        self._give_back(link)
        return result_from(reply, request.id, daemon.key)

    def cancel(self, job_id: str) -> str:
        """End a job of the same user: ``"queued"`` or ``"running"`` says where it was, ``"unknown"`` that it is not there.

        The job's own call returns with verdict ``cancelled``. Raises DaemonUnreachable, ReplyTimeout.
        """
        request = CancelRequest(new_id(), bytes.fromhex(job_id))
        reply = self._ask(request)
        return cast(CancelReply, reply).outcome

    def status(self) -> Mapping[str, Any]:
        """How the daemon is, as plain nested data. Raises DaemonUnreachable, ReplyTimeout."""
        return cast(StatusReply, self._ask(StatusRequest(new_id()))).status

    def reload(self) -> Mapping[str, Any]:
        """Let the daemon read its configuration anew. For the daemon's own user and root.

        Returns:
            keys ``changed``, ``needs_restart``; templates ``renewed``, ``removed``; TCP clients ``admitted``, ``shut_out``.

        Raises:
            RequestRefused: ``bad_config`` with the reason, and nothing changed; ``not_allowed``; ``not_reloadable``.
            DaemonUnreachable, ReplyTimeout: no answer.
        """
        return cast(StatusReply, self._ask(ReloadRequest(new_id()))).status

    def hello(self) -> HelloReply:
        """Who the daemon is: version, templates, policies, limits. Raises DaemonUnreachable, ReplyTimeout."""
        return cast(HelloReply, self._ask(HelloRequest(new_id())))

    def close(self) -> None:
        """Close every connection. Calls in flight in other threads finish, and theirs are closed then."""
        with self._lock:
            self._closed = True
            links, self._idle = self._idle, []
            last = not self._in_flight
        if self._pid != os.getpid():
            return  # a forked child leaves its parent's connections alone
        for link in links:
            link.close()
        if last:
            self._context.destroy(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _known_hello(self) -> HelloReply:
        with self._lock:
            daemon = self._daemon if self._pid == os.getpid() else None
        return self.hello() if daemon is None else daemon.hello

    def _ask(self, request: Request) -> Reply:
        link, _ = self._submit(request)
        try:
            reply = link.receive(request.id, _ANSWER_S)
        except Disconnected:
            self._forget_daemon(link)
            raise unreachable({self._where.address or "the daemon": "the connection ended"}) from None
        except BaseException:
            self._forget(link)
            raise
        if reply is None:
            self._forget(link)
            raise ReplyTimeout(f"no answer within {_ANSWER_S:g} s; the daemon may be overloaded or stopped")
        self._give_back(link)
        return check_reply(reply)

    def _submit(self, request: Request) -> tuple[Link, _Daemon]:
        """Hand the request to a connection that stands: a kept one, else one to whoever answers now."""
        frames = encode_request(request)
        while True:
            with self._lock:
                self._check_usable()
                daemon = self._daemon
                link = self._idle.pop() if self._idle and daemon is not None else None
                self._in_flight += 1
            if link is None or daemon is None:
                break
            if link.send(frames):
                return link, daemon
            self._forget_daemon(link)
        try:
            return self._connect(frames, daemon)
        except BaseException:
            with self._lock:
                self._in_flight -= 1
            raise

    def _connect(self, frames: Sequence[bytes | memoryview], daemon: _Daemon | None) -> tuple[Link, _Daemon]:
        """A new connection with the request handed to it, to the known daemon or to whoever answers now."""
        if daemon is not None:
            link = Link(self._context, daemon.address, daemon.curve)
            if not nobody_listens(daemon.address) and link.send(frames, self._where.connect_timeout_s):
                return link, daemon
            link.close()
        link, daemon = self._find()
        if link.send(frames):
            return link, daemon
        link.close()
        raise unreachable({daemon.address: "it answered and was gone a moment later"})

    def _check_usable(self) -> None:
        if self._pid != os.getpid():
            # A ZeroMQ context does not survive a fork; the parent's stays untouched.
            self._start_afresh()
        if self._closed:
            raise ValueError("this client is closed")

    def _find(self) -> tuple[Link, _Daemon]:
        tried: dict[str, str] = {}
        for address in self._where.addresses():
            reason = nobody_listens(address)
            if not reason:
                key = self._where.key_for(address)
                curve = self._where.curve_for(address)
                link = Link(self._context, address, curve)
                start_s = time.monotonic()
                hello = self._greet(link)
                if hello is not None:
                    daemon = _Daemon(address, key, curve, hello)
                    with self._lock:
                        self._daemon = daemon
                    return link, daemon
                link.close()
                reason = self._where.silence(curve, time.monotonic() - start_s)
            tried[address] = reason
        raise unreachable(tried)

    def _greet(self, link: Link) -> HelloReply | None:
        request = HelloRequest(new_id())
        timeout_s = self._where.connect_timeout_s
        try:
            if not link.send(encode_request(request), timeout_s):
                return None
            reply = link.receive(request.id, timeout_s)
        except (Disconnected, ProtocolError):
            return None
        return reply if isinstance(reply, HelloReply) else None

    def _cancel_quietly(self, job_id: bytes, daemon: _Daemon) -> None:
        link = Link(self._context, daemon.address, daemon.curve)
        request = CancelRequest(new_id(), job_id)
        try:
            if link.send(encode_request(request), self._where.connect_timeout_s):
                link.receive(request.id, self._where.connect_timeout_s)
        except (Disconnected, ProtocolError, zmq.ZMQError):
            pass  # whoever is gone needs no cancelling
        finally:
            link.close()

    def _give_back(self, link: Link) -> None:
        with self._lock:
            if not self._closed:
                self._in_flight -= 1
                self._idle.append(link)
                return
        self._forget(link)

    def _forget(self, link: Link) -> None:
        """Close a connection that a call held."""
        link.close()
        with self._lock:
            self._in_flight -= 1
            last = self._closed and not self._in_flight
        if last:
            self._context.destroy(0)

    def _forget_daemon(self, link: Link) -> None:
        """The daemon is gone: the next call looks for one afresh, with the key that is then in force."""
        with self._lock:
            stale, self._idle = self._idle, []
            self._daemon = None
        for other in stale:
            other.close()
        self._forget(link)

"""Peers that are not the client library: one that counts every reply, slow ones, half-open ones, and those that send garbage."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import zmq
from tests.faults.plan import ClientPlan, JobPlan
from tests.faults.programs import MARK, Outcome, arguments_of, note_result, note_text

from warmfork.errors import WarmforkError
from warmfork.exchange import build_request, result_from
from warmfork.wire.messages import decode_reply, encode_request
from warmfork.wire.replies import OutputReply, ResultReply

_CALL_OPTIONAL: Final = (
    "variables", "files", "stdin", "timeout_s", "deadline_s", "memory_bytes", "policy", "template", "rc", "job_id",
)  # fmt: skip
_IN_FLIGHT: Final = 3
_GARBAGE_MESSAGES: Final = 40


def request_frames(job: JobPlan, *, stream: bool = True) -> list[Any]:
    """The frames that ask for this job."""
    arguments: dict[str, Any] = dict.fromkeys(_CALL_OPTIONAL) | {"formats": ("png",), **arguments_of(job)}
    return list(encode_request(build_request(**arguments, stream=stream)))


class CountingPeer:
    """A bare DEALER that has a few jobs in flight, never sends one again, and counts what comes back.

    It listens until ``close``, so that a reply that comes twice, however late, is seen.

    Args:
        address, key: of the daemon.
        plan: one lane of jobs.

    Attributes:
        outcomes: by job id.
        replies: how many results came for each.
    """

    def __init__(self, address: str, key: bytes, plan: ClientPlan) -> None:
        self._key = key
        self._jobs = {job.job_id: job for job in plan.lanes[0]}
        self._todo = list(plan.lanes[0])
        self.outcomes: dict[str, Outcome] = {}
        self.replies: Counter[str] = Counter()
        self.problems: list[str] = []
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(address)
        self._lost: set[str] = set()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, until_s: float) -> None:
        """Send jobs until then, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, args=(until_s,), daemon=True)
        self._thread.start()

    def waiting(self) -> set[str]:
        """Jobs that were sent and have no reply."""
        return {job_id for job_id in list(self.outcomes) if not self.replies[job_id]} - self._lost

    def give_up(self) -> None:
        """The daemon was killed: what it had is answered by nobody, and a bare peer cannot ask."""
        self._lost |= self.waiting()

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self._context.destroy(0)

    def _run(self, until_s: float) -> None:
        while not self._closing.is_set():
            if time.monotonic() < until_s and self._todo and len(self.waiting()) < _IN_FLIGHT:
                job = self._todo.pop(0)
                self.outcomes[job.job_id] = Outcome(job.job_id, job.kind, "raw", time.monotonic())
                with contextlib.suppress(zmq.Again):
                    self._socket.send_multipart(request_frames(job), zmq.NOBLOCK)
            elif self._socket.poll(10):
                self._take(self._socket.recv_multipart())

    def _take(self, frames: list[bytes]) -> None:
        try:
            reply = decode_reply(frames)
        except WarmforkError as problem:
            self.problems.append(f"raw: a reply that cannot be read: {problem}")
            return
        outcome = self.outcomes.get(reply.id.hex())
        if outcome is None:
            return  # the daemon's probes, which are for nobody
        if isinstance(reply, OutputReply):
            note_text(outcome, bytes(reply.data).decode("utf-8", "replace"), "streamed output")
            return
        self.replies[outcome.job_id] += 1
        outcome.ended_s = time.monotonic()
        try:
            note_result(outcome, self._jobs[outcome.job_id], result_from(reply, reply.id, self._key), None)
        except WarmforkError as problem:
            outcome.verdict, outcome.detail = f"raised:{type(problem).__name__}", str(problem)


def be_slow(address: str, draw: random.Random, hold: threading.Event, hold_s: float) -> list[str]:
    """Ask for much, read nothing for a while, then all of it. Returns what was wrong with that.

    Args:
        address: of the daemon.
        draw: chooses ids.
        hold: ends the wait when it is set.
        hold_s: without reading.
    """
    context: zmq.Context[Any] = zmq.Context()
    peer = context.socket(zmq.DEALER)
    for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, 1), (zmq.RCVBUF, 4096)):
        peer.setsockopt(option, value)
    peer.connect(address)
    jobs = [JobPlan(f"{draw.getrandbits(128):032x}", "flood", False, 0, 0.0) for _ in range(6)]
    try:
        for job in jobs:
            peer.send_multipart(request_frames(job, stream=draw.random() < 0.5))
        hold.wait(hold_s)
        counts: Counter[str] = Counter()
        problems: list[str] = []
        while peer.poll(300):
            reply = decode_reply(peer.recv_multipart())
            if isinstance(reply, ResultReply):
                counts[reply.id.hex()] += 1
                text = (reply.stdout.head + reply.stdout.tail).decode("utf-8", "replace")
                problems += [
                    f"slow client: foreign output of {owner}"
                    for owner, _ in MARK.findall(text)
                    if owner != reply.id.hex()
                ]
        return problems + [
            f"slow client: {count} replies to job {job_id}" for job_id, count in counts.items() if count > 1
        ]
    finally:
        context.destroy(0)


def be_half_open(path: str, draw: random.Random, hold: threading.Event, hold_s: float) -> None:
    """Connect and say nothing, or half a greeting, for a while."""
    peers = []
    try:
        for _ in range(8):
            peer = socket.socket(socket.AF_UNIX)
            peers.append(peer)
            peer.settimeout(0.5)
            with contextlib.suppress(OSError):
                peer.connect(path)
                peer.send(b"\xff\0\0\0\0\0\0\0\1\x7f\3"[: draw.randrange(12)])
        hold.wait(hold_s)
    finally:
        for peer in peers:
            peer.close()


def send_garbage(path: str, variant: str, draw: random.Random) -> None:
    """Be a peer that speaks no protocol, or this one wrongly."""
    if variant in ("bytes", "handshake"):
        _send_bytes(path, b"" if variant == "bytes" else b"\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" + bytes(48), draw)
        return
    makers: dict[str, Callable[[], list[bytes]]] = {
        "frames": lambda: [draw.randbytes(draw.randrange(300)) for _ in range(draw.randrange(1, 8))],
        "mutated": lambda: _mutated(draw),
        "lengths": lambda: _wrong_lengths(draw),
    }
    context: zmq.Context[Any] = zmq.Context()
    peer = context.socket(zmq.DEALER)
    peer.setsockopt(zmq.LINGER, 200)
    peer.setsockopt(zmq.SNDTIMEO, 500)
    peer.connect(f"ipc://{path}")
    try:
        with contextlib.suppress(zmq.Again):
            for _ in range(_GARBAGE_MESSAGES):
                peer.send_multipart(makers[variant]())
        while peer.poll(50):
            peer.recv_multipart()
    finally:
        peer.close()
        context.term()


def _send_bytes(path: str, beginning: bytes, draw: random.Random) -> None:
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as peer, contextlib.suppress(OSError):
            peer.settimeout(0.2)
            peer.connect(path)
            peer.sendall(beginning + draw.randbytes(draw.randrange(1, 4000)))
            peer.recv(100)


def _valid(draw: random.Random) -> list[bytes]:
    # Hopeless on purpose: whatever of it the daemon can still read as a job ends by itself, and soon.
    job = JobPlan(f"{draw.getrandbits(128):032x}", draw.choice(("files", "good", "exit")), False, 0, 0.0)
    return [bytes(frame) for frame in request_frames(job)]


def _mutated(draw: random.Random) -> list[bytes]:
    frames = _valid(draw)
    header = bytearray(frames[0])
    for _ in range(draw.randrange(1, 5)):
        header[draw.randrange(len(header))] = draw.randrange(256)
    return [bytes(header), *frames[1:]]


def _wrong_lengths(draw: random.Random) -> list[bytes]:
    frames = _valid(draw)
    changes: list[list[bytes]] = [
        frames[:-1], [*frames, os.fsencode("more")], [frames[0][: draw.randrange(len(frames[0]))], *frames[1:]],
        frames[1:], [frames[0] + b"\xdd\xff\xff\xff\xff", *frames[1:]], [b"", *frames], frames[:1],
    ]  # fmt: skip
    return draw.choice(changes) or [b""]  # a short job is one frame, and no frame at all cannot be sent

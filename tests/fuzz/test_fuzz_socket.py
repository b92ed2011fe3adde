"""A real daemon under a flood of garbage on its socket: it answers others meanwhile and after, and leaks nothing."""

from __future__ import annotations

import os
import random
import socket
import uuid
from collections.abc import Iterator

import pytest
import zmq
from tests.support import Served, wait_until

from warmfork.wire import codec, limits, messages
from warmfork.wire.messages import decode_reply
from warmfork.wire.records import InputFile
from warmfork.wire.replies import ErrorReply
from warmfork.wire.requests import CancelRequest, ExecuteRequest, HelloRequest, StatusRequest

# The greeting of ZMTP 3.1 (signature, version, mechanism NULL, as-server 0), and a READY command of a DEALER.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
MESSAGES = [
    messages.encode_request(request)
    for request in (
        HelloRequest(bytes(16)),
        StatusRequest(bytes(16)),
        CancelRequest(bytes(16), bytes(range(16))),
        ExecuteRequest(bytes(16), b"pass", b"\x80", b"in", (InputFile("a", b"1"),), rc={"a": 1}),
    )
]


def garbage(rnd: random.Random) -> bytes:
    """Bytes for a raw connection: noise, a greeting with noise behind it, lengths that promise gigabytes."""
    noise = rnd.randbytes(rnd.choice([0, 1, 9, 63, 64, 65, 500, 5_000]))
    huge = b"\x02" + rnd.choice([b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(4) + b"\xff" * 4])
    return rnd.choice(
        [
            noise,
            b"GET / HTTP/1.1\r\n\r\n",
            GREETING[: rnd.randrange(64)],
            GREETING + noise,
            GREETING + READY + noise,
            GREETING + READY + huge,
        ]
    )


def broken(rnd: random.Random) -> list[bytes]:
    """Frames for a ZeroMQ connection: noise, or a valid request of which something is cut, changed or added."""
    if rnd.random() < 0.2:
        return [rnd.randbytes(rnd.randrange(200)) for _ in range(rnd.randrange(1, 6))]
    frames = [bytearray(frame).replace(bytes(16), rnd.randbytes(16)) for frame in rnd.choice(MESSAGES)]
    for _ in range(rnd.randrange(1, 4)):
        frame = rnd.choice(frames)
        place = rnd.randrange(len(frame) + 1)
        change = rnd.randrange(5)
        if change == 0 and place < len(frame):
            frame[place] ^= 1 << rnd.randrange(8)
        elif change == 1:
            del frame[place:]
        elif change == 2:
            frame[place:place] = rnd.choice([b"\xdd\xff\xff\xff\xff", b"\xc1", b"\xd6\xff\0\0\0\1", b"\x91" * 900])
        elif change == 3:
            frames.append(bytearray(rnd.randbytes(20)))
        elif len(frames) > 1:
            del frames[-1]
    return [bytes(frame) for frame in frames]


def descriptors(pid: int) -> int:
    """How many file descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One daemon for all that is thrown at it here."""
    daemon = Served(tmp_path_factory.mktemp("run"), f"test-{uuid.uuid4().hex}", ())
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def test_garbage_on_the_socket_harms_nobody(served: Served) -> None:
    """Raw noise, half greetings, false lengths and broken requests, thousands of them: the daemon answers throughout."""
    rnd = random.Random(20_240)
    with served.client() as client:
        assert "2\n" == client.execute("print(1 + 1)").stdout
        before = descriptors(served.process.pid)
        for _ in range(4):
            _flood_raw(served, rnd, 50)
            _flood_framed(served, rnd, 250)
            assert "2\n" == client.execute("print(1 + 1)").stdout
        # Each of the few workers takes five, and the flood made 200 connections.
        wait_until(lambda: descriptors(served.process.pid) <= before + 50, "what the flood opened is closed")
    assert served.process.poll() is None


def _flood_raw(served: Served, rnd: random.Random, count: int) -> None:
    for _ in range(count):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(served.socket))
            try:
                raw.sendall(garbage(rnd))
                if rnd.random() < 0.3:
                    raw.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                continue  # it hung up on us: the right answer


def _flood_framed(served: Served, rnd: random.Random, count: int) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 500)
        dealer.connect(served.address)
        for _ in range(count):
            try:
                dealer.send_multipart(broken(rnd), zmq.NOBLOCK)
            except zmq.Again:
                dealer.poll(100)
                while dealer.poll(0):
                    dealer.recv_multipart(copy=False)


def test_what_cannot_be_read_is_answered_each_time(served: Served) -> None:
    """A map with a map as its key, sent again and again, gets the typed refusal each time, and is no defect of the daemon."""
    header = b"\x85\xa1v\x01\xa4type\xa7execute\xa2id\xc4\x10" + bytes(range(16)) + b"\xa5parts\x91\x81\xa4kind\xa4code"
    with served.client() as client, zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(served.address)
        for _ in range(25):
            dealer.send_multipart([header + b"\xa2rc\x81\xa1a\x81\x80\x01", b"pass"])
            assert dealer.poll(20_000)
            reply = decode_reply(dealer.recv_multipart())
            assert isinstance(reply, ErrorReply)
            assert ("bad_request", bytes(range(16))) == (reply.code, reply.id)
        assert 0 == client.status()["defects"]
        assert "2\n" == client.execute("print(1 + 1)").stdout


def fullest_request(left_bytes: int) -> list[bytes]:
    """A job whose header falls short of the longest one by so many bytes, filled with settings."""
    rc = {str(number): "x" * 200_000 for number in range(5)}
    header = {"id": os.urandom(16), "v": 1, "type": "execute", "parts": [{"kind": "code"}], "rc": rc}
    rc["last"] = "x" * 40_000
    rc["last"] += "x" * (limits.HEADER_BYTES_MAX - left_bytes - len(codec.pack(header)))
    assert limits.HEADER_BYTES_MAX - left_bytes == len(codec.pack(header))
    return [codec.pack(header), b"pass"]


def test_the_fullest_request_is_answered(served: Served) -> None:
    """A request whose header is as long as it may be is run or refused, and costs nobody else."""
    with served.client() as client, zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(served.address)
        for left_bytes in (0, 1, 60, 200):
            dealer.send_multipart(fullest_request(left_bytes))
            assert dealer.poll(20_000)
            dealer.recv_multipart()
            assert "2\n" == client.execute("print(1 + 1)").stdout
    assert served.process.poll() is None

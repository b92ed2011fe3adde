"""A job's output goes out as it comes, once, and waits in its own bounded place while the client takes nothing."""

from __future__ import annotations

from warmfork.wire.replies import OutputReply
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.output import BoundedOutput
from warmfork_daemon.streaming import JobStream

JOB_ID = bytes(range(16))
FIRST, SECOND = Peer(0, b"first", 0, 1), Peer(0, b"second", 0, 2)


class Desk:
    """Takes messages while it is open."""

    def __init__(self) -> None:
        self.open = True
        self.sent: list[tuple[Peer, OutputReply]] = []

    def send(self, peer: Peer, message: OutputReply) -> bool:
        if self.open:
            self.sent.append((peer, message))
        return self.open

    def data(self, peer: Peer = FIRST, stream: str = "stdout") -> bytes:
        return b"".join(bytes(m.data) for to, m in self.sent if to is peer and m.stream == stream)


def job() -> Job:
    return Job(ExecuteRequest(JOB_ID, b""), FIRST, "strict", 1.0, 1, 1, 0.0, 1.0)


def test_what_is_new_goes_out_once_with_its_place() -> None:
    """Each message has the job's id, its number and where its bytes belong; nothing new sends nothing."""
    desk, out, err = Desk(), BoundedOutput(1_000), BoundedOutput(1_000)
    stream = JobStream(job(), {"stdout": out, "stderr": err}, desk.send)
    stream.push()
    assert [] == desk.sent
    out.add(b"one")
    stream.push()
    out.add(b"two")
    err.add(b"bad")
    stream.push()
    stream.push()
    assert [
        (JOB_ID, "stdout", 0, 0, b"one"),
        (JOB_ID, "stdout", 1, 3, b"two"),
        (JOB_ID, "stderr", 2, 0, b"bad"),
    ] == [(m.id, m.stream, m.seq, m.offset, m.data) for _, m in desk.sent]


def test_a_client_that_takes_nothing_gets_it_later() -> None:
    """While sending fails nothing is lost and nothing is numbered; the next look goes on where it stood."""
    desk, out = Desk(), BoundedOutput(1_000)
    stream = JobStream(job(), {"stdout": out}, desk.send)
    out.add(b"one ")
    stream.push()
    desk.open = False
    out.add(b"two ")
    stream.push()
    desk.open = True
    out.add(b"three")
    stream.push()
    assert b"one two three" == desk.data()
    assert [0, 1] == [message.seq for _, message in desk.sent]


def test_no_more_than_the_head_is_streamed() -> None:
    """Beyond half the bound, where the result may drop bytes, nothing goes out before the result."""
    desk, out = Desk(), BoundedOutput(1_000)
    stream = JobStream(job(), {"stdout": out}, desk.send)
    for _ in range(100):
        out.add(b"x" * 99)
        stream.push()
    assert out.text().head == desk.data()
    assert 500 == len(desk.data())


def test_a_message_is_of_bounded_size() -> None:
    """A flood goes out in pieces of at most 64 KiB."""
    desk, out = Desk(), BoundedOutput(1 << 20)
    out.add(b"x" * (1 << 20))
    JobStream(job(), {"stdout": out}, desk.send).push()
    assert [65_536] * 8 == [len(message.data) for _, message in desk.sent]


def test_who_takes_the_job_over_gets_its_output_from_the_start() -> None:
    """A client that comes back on another connection misses nothing."""
    desk, out, running = Desk(), BoundedOutput(1_000), job()
    stream = JobStream(running, {"stdout": out}, desk.send)
    out.add(b"one ")
    stream.push()
    running.peer = SECOND
    out.add(b"two")
    stream.push()
    assert (b"one ", b"one two") == (desk.data(), desk.data(SECOND))
    assert 0 == desk.sent[-1][1].offset

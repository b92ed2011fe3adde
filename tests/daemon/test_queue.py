"""The queue is first come, first served, and its bounds and its accounting hold whatever happens to it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from warmfork.wire.records import ExecuteRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.queue import JobQueue


def a_job(
    number: int, *, uid: int = 1, pid: int = 1, input_bytes: int = 10, expires_s: float = 100.0, template: str = "a"
) -> Job:
    request = ExecuteRequest(number.to_bytes(16, "big"), b"")
    return Job(request, Peer(0, b"r", uid, pid), "strict", 1.0, 1, input_bytes, 0.0, expires_s, template=template)


def test_first_come_first_served() -> None:
    """Jobs leave in the order they came; an empty queue gives None."""
    queue, three = JobQueue(10, 1_000), [a_job(number) for number in range(3)]
    for job in three:
        queue.put(job)
    assert three == [queue.take(), queue.take(), queue.take()]
    assert queue.take() is None
    assert (0, 0) == (len(queue), queue.bytes)


def test_the_number_is_bounded() -> None:
    """The last job allowed fits, the next does not, and the reason says how many wait."""
    queue = JobQueue(2, 1_000)
    for number in range(2):
        assert "" == queue.full_for(a_job(number))
        queue.put(a_job(number))
    assert "2 jobs wait" in queue.full_for(a_job(2))
    queue.take()
    assert "" == queue.full_for(a_job(2))


def test_the_bytes_are_bounded() -> None:
    """A job that fills the bound exactly fits, one byte more does not, and the reason says both numbers."""
    queue = JobQueue(10, 100)
    queue.put(a_job(1, input_bytes=60))
    assert "" == queue.full_for(a_job(2, input_bytes=40))
    reason = queue.full_for(a_job(2, input_bytes=41))
    assert "60 bytes" in reason
    assert "100" in reason


def test_an_empty_queue_takes_any_admitted_job() -> None:
    """One job over the bytes bound can still run, because nothing else waits."""
    assert "" == JobQueue(10, 100).full_for(a_job(1, input_bytes=1_000))


def test_put_back_goes_to_the_head() -> None:
    """A job whose worker turned out dead is next again, before those that came after it."""
    queue, first, second = JobQueue(10, 1_000), a_job(1), a_job(2)
    queue.put(first)
    queue.put(second)
    taken = queue.take()
    assert first is taken
    queue.put_back(first)
    assert (2, 20) == (len(queue), queue.bytes)
    assert [first, second] == [queue.take(), queue.take()]


def test_jobs_leave_from_the_middle() -> None:
    """A cancelled job goes, with its bytes, and the order of the others stays; a second time there is nothing."""
    queue, three = JobQueue(10, 1_000), [a_job(number, input_bytes=number) for number in (1, 2, 3)]
    for job in three:
        queue.put(job)
    assert three[1].key in queue
    assert three[1] is queue.remove(three[1].key)
    assert queue.remove(three[1].key) is None
    assert three[1].key not in queue
    assert 4 == queue.bytes
    assert [three[0], three[2]] == [queue.take(), queue.take()]


def test_the_same_id_of_another_user_is_another_job() -> None:
    """A client can only mean jobs of its own user."""
    queue, mine, theirs = JobQueue(10, 1_000), a_job(1, uid=1), a_job(1, uid=2)
    queue.put(mine)
    assert theirs.key not in queue
    queue.put(theirs)
    assert theirs is queue.remove((2, theirs.request.id))
    assert [mine] == [queue.take()]


def test_jobs_of_a_process() -> None:
    """All jobs that a client process waits for are found, and no other's."""
    queue = JobQueue(10, 1_000)
    for number, pid in enumerate([7, 8, 7]):
        queue.put(a_job(number, pid=pid))
    assert [a_job(0).key, a_job(2).key] == queue.of_pid(7)
    assert [] == queue.of_pid(9)


def test_expiry() -> None:
    """Exactly the jobs whose time has come leave, in order, wherever they stand."""
    queue = JobQueue(10, 1_000)
    for number, expires_s in enumerate([5.0, 20.0, 10.0, 10.001]):
        queue.put(a_job(number, expires_s=expires_s))
    assert [] == queue.take_expired(4.999)
    late = queue.take_expired(10.0)
    assert [a_job(0).key, a_job(2).key] == [job.key for job in late]
    assert (2, 20) == (len(queue), queue.bytes)
    assert [] == queue.take_expired(10.0)


def test_each_template_has_a_line() -> None:
    """A template's jobs are taken in their order, past those of others, which keep theirs."""
    queue, jobs = JobQueue(10, 1_000), [a_job(number, template=template) for number, template in enumerate("abab")]
    for job in jobs:
        queue.put(job)
    assert ("a", "b", None) == (queue.oldest(), queue.oldest({"a"}), queue.oldest({"a", "b"}))
    assert [jobs[1], jobs[3], None] == [queue.take("b"), queue.take("b"), queue.take("b")]
    assert [jobs[0], jobs[2], None] == [queue.take(), queue.take(), queue.take()]
    assert (None, 0, 0) == (queue.oldest(), len(queue), queue.bytes)


class QueueAgainstModel(RuleBasedStateMachine):
    """Invariant: the queue holds what a plain list would, and ``bytes`` is the sum of its jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(5, 100)
        self.model: list[Job] = []
        self.taken: list[Job] = []
        self.count = 0

    @rule(
        size=st.integers(0, 150), expires_s=st.integers(0, 10), uid=st.integers(1, 2), template=st.sampled_from("abc")
    )
    def put(self, size: int, expires_s: int, uid: int, template: str) -> None:
        self.count += 1
        job = a_job(self.count, uid=uid, input_bytes=size, expires_s=expires_s, template=template)
        held = sum(waiting.input_bytes for waiting in self.model)
        full = len(self.model) >= 5 or (bool(self.model) and held + size > 100)
        assert full == bool(self.queue.full_for(job))
        if not full:
            self.queue.put(job)
            self.model.append(job)

    @rule()
    def take(self) -> None:
        expected = self.model.pop(0) if self.model else None
        assert expected is self.queue.take()
        if expected is not None:
            self.taken.append(expected)

    @rule(template=st.sampled_from("abc"))
    def take_of(self, template: str) -> None:
        expected = next((job for job in self.model if job.template == template), None)
        assert expected is self.queue.take(template)
        if expected is not None:
            self.model.remove(expected)
            self.taken.append(expected)

    @precondition(lambda self: self.taken)
    @rule()
    def put_back(self) -> None:
        job = self.taken.pop()
        self.queue.put_back(job)
        self.model.insert(0, job)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.model))
        self.model.remove(job)
        assert job is self.queue.remove(job.key)

    @rule(now_s=st.integers(0, 10))
    def expire(self, now_s: int) -> None:
        late = [job for job in self.model if job.expires_s <= now_s]
        self.model = [job for job in self.model if job.expires_s > now_s]
        assert late == self.queue.take_expired(now_s)

    @invariant()
    def agrees(self) -> None:
        assert len(self.model) == len(self.queue)
        assert sum(job.input_bytes for job in self.model) == self.queue.bytes
        assert all(job.key in self.queue for job in self.model)
        assert (self.model[0].template if self.model else None) == self.queue.oldest()
        others = [job.template for job in self.model if job.template != "a"]
        assert (others[0] if others else None) == self.queue.oldest(besides={"a"})


TestQueueAgainstModel = QueueAgainstModel.TestCase

"""The queue is served by turns, and its bounds and its accounting hold whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.waiting import tenants_of


def a_job(
    number: int,
    *,
    uid: int = 1,
    input_bytes: int = 10,
    expires_s: float = 100.0,
    template: str = "a",
    tenant: str = "",
    priority: str = "interactive",
) -> Job:
    request = ExecuteRequest(number.to_bytes(16, "big"), b"")
    job = Job(request, Peer(0, b"r", uid, 1), "strict", 1.0, 1, input_bytes, 0.0, expires_s, template=template)
    job.tenant, job.priority = tenant, priority
    return job


def filled(jobs: Iterable[Job], jobs_max: int = 100_000, **options: Any) -> JobQueue:
    queue = JobQueue(jobs_max, 1 << 40, **options)
    for job in jobs:
        assert "" == queue.full_for(job)
        queue.put(job)
    return queue


def numbers(queue: JobQueue, count: int) -> list[int]:
    """The numbers of the next jobs, taken."""
    return [int.from_bytes(job.request.id, "big") for job in (queue.take() for _ in range(count)) if job is not None]


def test_first_come_first_served() -> None:
    """Jobs leave in the order they came; an empty queue gives None."""
    queue, three = JobQueue(10, 1_000), [a_job(number) for number in range(3)]
    for job in three:
        queue.put(job)
    assert three == [queue.take(), queue.take(), queue.take()]
    assert queue.take() is None
    assert (0, 0) == (len(queue), queue.bytes)


def test_who_waits() -> None:
    """Tenants by number of jobs, each with its part of the queue, and of the turns by its owner's weight and its own."""
    jobs = [a_job(number, uid=7, tenant="blue") for number in range(5)]
    jobs += [a_job(10 + number, uid=7, tenant="red", priority="batch") for number in range(3)]
    queue = filled(
        [*jobs, *[a_job(20 + number, uid=8) for number in range(2)]], weight_of=lambda uid: float(uid == 8) + 1
    )
    told = tenants_of(queue)
    assert (2, 3) == (told["owners"], told["tenants"])
    names = ("uid", "client", "tenant", "jobs", "weight", "queue_share", "turn_share")
    assert [
        (7, "", "blue", 5, 1.0, 0.5, 0.1667),
        (7, "", "red", 3, 1.0, 0.3, 0.1667),
        (8, "", "", 2, 2.0, 0.2, 0.6667),
    ] == [tuple(row[name] for name in names) for row in told["list"]]
    assert {"owners": 0, "tenants": 0, "list": []} == tenants_of(JobQueue(1, 1))


def test_the_list_of_who_waits_is_bounded() -> None:
    """However many tenants a client makes up, the rows are few and those with the most jobs are among them."""
    queue = filled([a_job(number, tenant=str(number)) for number in range(500)] + [a_job(501, tenant="0")])
    told = tenants_of(queue)
    assert (500, 64, "0") == (told["tenants"], len(told["list"]), told["list"][0]["tenant"])


def test_new_weights_count_for_those_who_wait_already() -> None:
    """After one turn each at the old weights, turns go by the new ones."""
    weights = {1: 1.0, 2: 1.0}
    queue = filled(
        [a_job(number, uid=1 + number % 2) for number in range(40)], weight_of=lambda owner: weights[int(owner)]
    )
    numbers(queue, 2)
    weights[2] = 3.0
    queue.reweigh()
    assert 6 <= sum(number % 2 for number in numbers(queue, 8)[1:]) + 1 <= 7


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


def test_a_flood_of_one_owner_costs_another_no_job() -> None:
    """Of 10,000 jobs of one owner none more is taken before the first of another, and then they alternate."""
    queue = filled(a_job(number, uid=1) for number in range(10_000))
    assert [0, 1, 2] == numbers(queue, 3)
    for number in range(20_000, 20_003):
        queue.put(a_job(number, uid=2))
    assert [20_000, 3, 20_001, 4, 20_002, 5, 6] == numbers(queue, 7)


def test_weights_of_owners() -> None:
    """An owner of weight 3 has three jobs taken for each one of another."""
    jobs = [a_job(number, uid=number % 2) for number in range(80)]
    queue = filled(jobs, weight_of=lambda owner: 3.0 if owner == 1 else 1.0)
    assert 30 == sum(number % 2 for number in numbers(queue, 40))


def test_weights_of_tenants() -> None:
    """Within its owner a tenant of weight 3 has three jobs taken for each one of another; other owners notice nothing."""
    jobs = [a_job(number, uid=1, tenant="reports" if number % 2 else "") for number in range(80)]
    others = [a_job(100 + number, uid=2) for number in range(80)]
    queue = filled([*jobs, *others], tenant_weight_of=lambda tenant: 3.0 if tenant == "reports" else 1.0)
    shares = {(row["uid"], row["tenant"]): row["turn_share"] for row in tenants_of(queue)["list"]}
    assert {(1, "reports"): 0.375, (1, ""): 0.125, (2, ""): 0.5} == shares
    ahead = queue.ahead_of(a_job(200, uid=1, tenant="reports"))
    assert 40 + 14 <= ahead - 55 <= 40 + 15, "its own, a third as many of the other, and as many of the other owner"
    taken = numbers(queue, 80)
    own = [number for number in taken if number < 100]
    assert (40, 30) == (len(own), sum(number % 2 for number in own))


def test_new_weights_of_tenants_count_for_those_who_wait_already() -> None:
    """As for owners."""
    weights = {"a": 1.0, "b": 1.0}
    queue = filled(
        [a_job(number, tenant="ab"[number % 2]) for number in range(40)],
        tenant_weight_of=lambda tenant: weights[tenant],
    )
    numbers(queue, 2)
    weights["b"] = 3.0
    queue.reweigh()
    assert 6 <= sum(number % 2 for number in numbers(queue, 8)[1:]) + 1 <= 7


def test_tenants_divide_their_owners_turns() -> None:
    """However many tenants an owner declares, another owner has every second job taken."""
    jobs = [a_job(number, uid=1, tenant=str(number % 5)) for number in range(20)]
    queue = filled([*jobs, *(a_job(number, uid=2) for number in range(100, 106))])
    assert [0, 100, 1, 101, 2, 102, 3, 103, 4, 104, 5, 105] == numbers(queue, 12)


def test_a_flood_of_one_tenant_costs_another_no_job() -> None:
    """Inside an owner its tenants take turns."""
    queue = filled(a_job(number, tenant="flood") for number in range(1_000))
    assert [0, 1] == numbers(queue, 2)
    queue.put(a_job(5_000, tenant="other"))
    assert [5_000, 2] == numbers(queue, 2)


def test_priorities_rank_the_jobs_of_one_tenant() -> None:
    """Interactive jobs go before all batch ones of their tenant, and before none of another's."""
    jobs = [a_job(number, priority="batch") for number in range(3)]
    jobs += [a_job(10, priority="interactive"), a_job(20, tenant="other", priority="batch")]
    assert [10, 20, 0, 1, 2] == numbers(filled(jobs), 5)


def test_templates_do_not_stand_in_each_others_way() -> None:
    """The job whose turn it is may be of a template that has no worker; then the next owner's of another is taken."""
    jobs = [a_job(1, uid=1, template="a"), a_job(2, uid=2, template="b"), a_job(3, uid=1, template="b")]
    queue = filled(jobs)
    assert ("a", "b") == (queue.oldest(), queue.oldest({"a"}))
    assert [jobs[2], jobs[1], None] == [queue.take("b"), queue.take("b"), queue.take("b")]
    assert jobs[0] is queue.take()


def test_one_owner_alone_holds_its_share_and_no_more() -> None:
    """With half of the queue for an owner that is alone, the other half stays free, and the reason says so."""
    queue = filled((a_job(number) for number in range(50)), jobs_max=100, owner_share=0.5)
    assert "50 jobs of this owner" in queue.full_for(a_job(50))
    assert "" == queue.full_for(a_job(50, uid=2))


def test_there_is_room_for_whoever_comes() -> None:
    """One owner after the other fills what it may, and the next one has room, as long as halves last."""
    queue = filled([], jobs_max=100, owner_share=0.5)
    number = 0
    for uid in range(6):
        assert "" == queue.full_for(a_job(number, uid=uid))
        while not queue.full_for(a_job(number, uid=uid)):
            queue.put(a_job(number, uid=uid))
            number += 1
    assert [50, 25, 13, 6, 3, 2] == [jobs for jobs, _ in queue.owners.values()]


def test_bytes_have_shares_too() -> None:
    """An owner alone holds half of the bytes; its first job may be of any size that fits."""
    queue = JobQueue(100, 1_000, owner_share=0.5)
    assert "" == queue.full_for(a_job(0, input_bytes=900))
    for number in range(5):
        queue.put(a_job(number, input_bytes=100))
    assert "hold 500 bytes" in queue.full_for(a_job(5, input_bytes=100))
    assert "" == queue.full_for(a_job(5, uid=2, input_bytes=300))


def test_a_declared_tenant_has_a_share_of_its_owner() -> None:
    """One tenant cannot fill what its owner may hold."""
    queue = filled([], jobs_max=100, owner_share=0.5)
    number = 0
    while not queue.full_for(a_job(number, tenant="flood")):
        queue.put(a_job(number, tenant="flood"))
        number += 1
    assert "tenant 'flood'" in queue.full_for(a_job(number, tenant="flood"))
    assert "" == queue.full_for(a_job(number, tenant="other"))


@pytest.mark.parametrize(
    ("uid", "tenant", "priority"), [(1, "", "batch"), (1, "x", "batch"), (2, "", "interactive"), (3, "", "batch")]
)
def test_ahead_is_what_is_taken_before(uid: int, tenant: str, priority: str) -> None:
    """The number told for a job is how many are taken before it when nothing else comes, to within one turn of each."""
    jobs = [
        a_job(n, uid=1 + n % 2, tenant="x" if n % 3 else "", priority="batch" if n % 5 else "interactive")
        for n in range(40)
    ]
    queue = filled(jobs)
    last = a_job(99, uid=uid, tenant=tenant, priority=priority)
    told = queue.ahead_of(last)
    queue.put(last)
    assert abs(told - numbers(queue, 41).index(99)) <= 3


class QueueAgainstModel(RuleBasedStateMachine):
    """Invariant: the queue holds what a plain list would, of one owner and tenant in its order; ``bytes`` is their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue(5, 100)
        self.model: list[Job] = []
        self.taken: list[Job] = []
        self.count = 0

    @rule(
        size=st.integers(0, 150),
        expires_s=st.integers(0, 10),
        uid=st.integers(1, 2),
        tenant=st.sampled_from(["", "x"]),
        template=st.sampled_from("abc"),
    )
    def put(self, size: int, expires_s: int, uid: int, tenant: str, template: str) -> None:
        self.count += 1
        job = a_job(self.count, uid=uid, input_bytes=size, expires_s=expires_s, template=template, tenant=tenant)
        held = sum(waiting.input_bytes for waiting in self.model)
        full = len(self.model) >= 5 or (bool(self.model) and held + size > 100)
        assert full == bool(self.queue.full_for(job))
        if not full:
            self.queue.put(job)
            self.model.append(job)

    @rule()
    def take(self) -> None:
        template = self.queue.oldest()
        job = self.queue.take()
        assert bool(self.model) == (job is not None)
        assert template == (job.template if job else None)
        if job is not None:
            self._taken(job, None)

    @rule(template=st.sampled_from("abc"))
    def take_of(self, template: str) -> None:
        job = self.queue.take(template)
        assert any(waiting.template == template for waiting in self.model) == (job is not None)
        if job is not None:
            self._taken(job, template)

    def _taken(self, job: Job, template: str | None) -> None:
        """A job that was taken is the first of its owner, tenant and template, and of those that were looked at."""
        alike = [
            waiting
            for waiting in self.model
            if (waiting.peer.owner, waiting.tenant) == (job.peer.owner, job.tenant)
            and template in (None, waiting.template)
        ]
        assert job is alike[0]
        self.model.remove(job)
        self.taken.append(job)

    @precondition(lambda self: self.taken)
    @rule()
    def put_back(self) -> None:
        job = self.taken.pop()
        self.queue.put_back(job)
        self.model.insert(0, job)
        assert job is self.queue.take()
        self.queue.put_back(job)

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
        assert {job.peer.owner for job in self.model} == set(self.queue.owners)
        assert sum(jobs for jobs, _ in self.queue.owners.values()) == len(self.model)
        assert sum(held for _, held in self.queue.owners.values()) == self.queue.bytes
        assert bool(self.model) == (self.queue.oldest() is not None)
        others = {job.template for job in self.model if job.template != "a"}
        assert bool(others) == (self.queue.oldest(besides={"a"}) in others)


TestQueueAgainstModel = QueueAgainstModel.TestCase

"""Jobs that wait for a worker: taken by turns, bounded in number and bytes, as a whole and for each owner.

Order. Owners (a uid, a key) take turns by their weights. Inside an owner its declared tenants take turns, all alike; inside
a tenant every ``interactive`` job comes before every ``batch`` one, and of one priority who came first is first. With
one owner, one tenant and one priority that is first come, first served.

There is a line for each template, so that jobs of one that has no worker free do not stand in the way of the others:
``oldest(besides)`` names the template of the job whose turn it is, ``take(template)`` takes it.

Room. One owner may hold at most ``owner_share`` of the queue while it is alone, and less the more others hold: its bound
is in proportion to the room that is left. With a share of one half a flood leaves half of the queue to others, and a second
one half of that.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

from warmfork.wire.records import PRIORITIES
from warmfork_daemon.job import Job, JobKey, Owner
from warmfork_daemon.turns import Turns

_RANK: Final = {name: rank for rank, name in enumerate(PRIORITIES)}


class _Tenant:
    """The jobs of one tenant: a line for each template and priority, each in order of coming."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[tuple[str, int], OrderedDict[JobKey, int]] = {}

    def serves(self, template: str | None, besides: Container[str]) -> bool:
        """Is there a job of this template, or of any not ``besides``?"""
        return any(_fits(name, template, besides) for name, _ in self.lines)

    def head(self, template: str | None, besides: Container[str]) -> JobKey | None:
        """The job that comes first among those."""
        heads = [
            (rank, next(iter(line.values())), next(iter(line)))
            for (name, rank), line in self.lines.items()
            if _fits(name, template, besides)
        ]
        return min(heads)[2] if heads else None


class _Owner:
    """The jobs of one owner by tenant, with what they hold."""

    __slots__ = ("bytes", "jobs", "jobs_of", "tenants", "turns")

    def __init__(self) -> None:
        self.tenants: dict[str, _Tenant] = {}
        self.turns: Turns[str] = Turns()
        self.jobs_of: Counter[str] = Counter()
        self.jobs = 0
        self.bytes = 0

    def serves(self, template: str | None, besides: Container[str]) -> bool:
        return any(tenant.serves(template, besides) for tenant in self.tenants.values())

    def head(self, template: str | None, besides: Container[str]) -> JobKey | None:
        serving = (name for name, tenant in self.tenants.items() if tenant.serves(template, besides))
        name = self.turns.first(serving)
        return None if name is None else self.tenants[name].head(template, besides)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One tenant of one owner that has jobs in the queue.

    Attributes:
        job: one of them.
        jobs: how many.
        weight: of its owner.
        share: of the owner's turns that are its own.
    """

    job: Job
    jobs: int
    weight: float
    share: float


class JobQueue:
    """A bounded queue whose jobs can also leave from the middle.

    Args:
        jobs_max: number of jobs.
        bytes_max: size of all their parts together.
        owner_share: of both that one owner may hold while no other holds any; over 0, and 1 for no such bound. A
            declared tenant is bounded in the same way within its owner's number.
        weight_of: turns of an owner for each turn of one with weight 1.
        tenant_weight_of: likewise of a declared tenant, within its owner's.
    """

    def __init__(
        self,
        jobs_max: int,
        bytes_max: int,
        *,
        owner_share: float = 1.0,
        weight_of: Callable[[Owner], float] = lambda owner: 1.0,
        tenant_weight_of: Callable[[str], float] = lambda tenant: 1.0,
    ) -> None:
        self._weight_of = weight_of
        self._tenant_weight_of = tenant_weight_of
        self._jobs: OrderedDict[JobKey, Job] = OrderedDict()
        self._owners: dict[Owner, _Owner] = {}
        self._turns: Turns[Owner] = Turns()
        self._first, self._last = 0, 0
        self.bytes = 0
        self.configure(jobs_max, bytes_max, owner_share)

    def configure(self, jobs_max: int, bytes_max: int, owner_share: float = 1.0) -> None:
        """Set other bounds. What waits beyond them goes on waiting."""
        self._jobs_max = jobs_max
        self._bytes_max = bytes_max
        # An owner that holds at most ``ratio`` times what is free holds, alone, this share of everything.
        self._ratio = owner_share / (1.0 - owner_share) if owner_share < 1.0 else math.inf

    def reweigh(self) -> None:
        """Ask anew for the weights of all who wait."""
        for name, owner in self._owners.items():
            self._turns.reweigh(name, self._weight_of(name))
            for tenant in owner.tenants:
                owner.turns.reweigh(tenant, self._tenant_weight_of(tenant))

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, key: object) -> bool:
        return key in self._jobs

    def get(self, key: JobKey) -> Job | None:
        """The waiting job of this key."""
        return self._jobs.get(key)

    @property
    def jobs(self) -> list[Job]:
        """Every job that waits, in order of coming."""
        return list(self._jobs.values())

    @property
    def owners(self) -> dict[Owner, tuple[int, int]]:
        """Jobs and bytes of every owner that waits for some."""
        return {name: (owner.jobs, owner.bytes) for name, owner in self._owners.items()}

    def waiting(self) -> list[Waiting]:
        """Every tenant that waits."""
        return [
            Waiting(
                self._jobs[next(iter(line))],
                owner.jobs_of[tenant],
                self._weight_of(name),
                self._tenant_weight_of(tenant) / sum(map(self._tenant_weight_of, owner.tenants)),
            )
            for name, owner in self._owners.items()
            for tenant, lines in owner.tenants.items()
            for line in itertools.islice(lines.lines.values(), 1)
        ]

    def full_for(self, job: Job) -> str:
        """Why the job does not fit, empty when it does."""
        waiting = len(self._jobs)
        if waiting >= self._jobs_max:
            return f"{waiting} jobs wait, the most that may"
        if self._jobs and self.bytes + job.input_bytes > self._bytes_max:
            return f"waiting jobs hold {self.bytes} bytes and this one would exceed the {self._bytes_max} allowed"
        owner = self._owners.get(job.peer.owner)
        if owner is None or self._ratio == math.inf:
            return ""
        return self._over_share(owner, job)

    def _over_share(self, owner: _Owner, job: Job) -> str:
        waiting = len(self._jobs)
        jobs_max = self._ratio * (self._jobs_max - waiting)
        if owner.jobs >= max(1.0, jobs_max):
            return (
                f"{owner.jobs} jobs of this owner wait among {waiting}, as many as may: there must be room for others"
            )
        if owner.bytes + job.input_bytes > self._ratio * (self._bytes_max - self.bytes):
            return (
                f"waiting jobs of this owner hold {owner.bytes} bytes, and with this one they would leave too little room "
                "for others"
            )
        own = owner.jobs_of[job.tenant]
        # Within its owner a tenant is bounded as the owner is within the queue.
        if job.tenant and own and own >= max(1.0, self._ratio * (jobs_max - owner.jobs)):
            return f"{own} jobs of the tenant {job.tenant!r} wait, as many as may: there must be room for others"
        return ""

    def ahead_of(self, job: Job) -> int:
        """How many of the jobs that wait go before this one, which does not wait yet, when nothing else comes."""
        rank = _RANK[job.priority]
        owner = self._owners.get(job.peer.owner)
        ahead = 0
        if owner is not None:
            tenant = owner.tenants.get(job.tenant)
            if tenant is not None:
                ahead = sum(len(line) for (_, other), line in tenant.lines.items() if other <= rank)
            turns = (ahead + 1) / self._tenant_weight_of(job.tenant)
            ahead += sum(
                min(jobs, math.ceil(turns * self._tenant_weight_of(name)))
                for name, jobs in owner.jobs_of.items()
                if name != job.tenant
            )
        turns = (ahead + 1) / self._weight_of(job.peer.owner)
        return ahead + sum(
            min(other.jobs, math.ceil(turns * self._weight_of(name)))
            for name, other in self._owners.items()
            if name != job.peer.owner
        )

    def put(self, job: Job) -> None:
        """Append a job that fits."""
        self._last += 1
        self._insert(job, self._last)

    def put_back(self, job: Job) -> None:
        """Return a job that was taken and did not run: it is next again."""
        self._first -= 1
        self._insert(job, self._first)
        self._jobs.move_to_end(job.key, last=False)
        owner = self._owners[job.peer.owner]
        owner.tenants[job.tenant].lines[_line_of(job)].move_to_end(job.key, last=False)
        self._turns.undo(job.peer.owner)
        owner.turns.undo(job.tenant)

    def _insert(self, job: Job, place: int) -> None:
        name = job.peer.owner
        owner = self._owners.setdefault(name, _Owner())
        self._turns.enter(name, self._weight_of(name))
        owner.turns.enter(job.tenant, self._tenant_weight_of(job.tenant))
        owner.tenants.setdefault(job.tenant, _Tenant()).lines.setdefault(_line_of(job), OrderedDict())[job.key] = place
        owner.jobs_of[job.tenant] += 1
        owner.jobs += 1
        owner.bytes += job.input_bytes
        self._jobs[job.key] = job
        self.bytes += job.input_bytes

    def oldest(self, besides: Container[str] = ()) -> str | None:
        """The template of the job whose turn it is, where jobs of those ``besides`` are not looked at."""
        key = self._head(None, besides)
        return None if key is None else self._jobs[key].line

    def take(self, template: str | None = None) -> Job | None:
        """Remove and return the job whose turn it is, or whose turn it is among this template's; None without one."""
        key = self._head(template, ())
        if key is None:
            return None
        job = self._jobs[key]
        self._turns.charge(job.peer.owner)
        self._owners[job.peer.owner].turns.charge(job.tenant)
        return self.remove(key)

    def _head(self, template: str | None, besides: Container[str]) -> JobKey | None:
        serving = (name for name, owner in self._owners.items() if owner.serves(template, besides))
        name = self._turns.first(serving)
        return None if name is None else self._owners[name].head(template, besides)

    def remove(self, key: JobKey) -> Job | None:
        """Remove the job of this key, wherever it stands."""
        job = self._jobs.pop(key, None)
        if job is None:
            return None
        self.bytes -= job.input_bytes
        owner = self._owners[job.peer.owner]
        owner.jobs -= 1
        owner.bytes -= job.input_bytes
        owner.jobs_of[job.tenant] -= 1
        tenant = owner.tenants[job.tenant]
        line = tenant.lines[_line_of(job)]
        del line[key]
        # What is empty is not there: who waits, and for what, is read off these maps.
        if not line:
            del tenant.lines[_line_of(job)]
        if not tenant.lines:
            del owner.tenants[job.tenant], owner.jobs_of[job.tenant]
            owner.turns.leave(job.tenant)
        if not owner.tenants:
            del self._owners[job.peer.owner]
            self._turns.leave(job.peer.owner)
        return job

    def merge(self, line: str, into: str) -> int:
        """Let the jobs of one line wait in another, each where it would stand had it come there. How many there were."""
        moved = 0
        for owner in self._owners.values():
            for tenant in owner.tenants.values():
                for rank in _RANK.values():
                    jobs = tenant.lines.pop((line, rank), None)
                    if jobs is None:
                        continue
                    moved += len(jobs)
                    for key in jobs:
                        self._jobs[key].line = into
                    both = [*tenant.lines.get((into, rank), {}).items(), *jobs.items()]
                    tenant.lines[into, rank] = OrderedDict(sorted(both, key=lambda item: item[1]))
        return moved

    def take_expired(self, now_s: float) -> list[Job]:
        """Remove and return every job whose waiting has become hopeless."""
        late = [key for key, job in self._jobs.items() if job.expires_s <= now_s]
        return [job for job in map(self.remove, late) if job is not None]


def _line_of(job: Job) -> tuple[str, int]:
    return (job.line, _RANK[job.priority])


def _fits(name: str, template: str | None, besides: Container[str]) -> bool:
    return name == template if template is not None else name not in besides

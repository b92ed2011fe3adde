"""What became of the jobs that ended a while ago, so that one that is sent again is answered and not run again. Pure.

Bounded in number, bytes and age; what goes first is of the owner that holds most, so that nobody's flood makes the memory
of another's jobs short. Beyond the bytes only a result is let go, and it stays known that its job has ended. Beyond number
and age even that goes, and it is remembered instead how far back the memory of that owner is whole: ``knows_since`` then
says whether a job that is not known here can have ended unnoticed, which makes "never run twice" hold whatever the bounds.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from warmfork.wire import codec
from warmfork.wire.frames import Frames
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.job import JobKey, Owner

ENTRY_BYTES: Final = 512
"""What an entry takes besides its frames, at most."""

ABOUT_CONTENT: Final = ("timeout_s", "memory_bytes", "formats", "policy", "template", "rc", "redact")
PARTS: Final = ("code", "variables", "stdin", "files")
ABOUT_DELIVERY: Final = ("id", "deadline_s", "stream", "tenant", "priority", "resend", "sent_s_ago")
"""Fields of a request that say when and how, and may differ from one sending to the next."""


def digest_of(request: ExecuteRequest) -> bytes:
    """Names what a request asks for: two with the same digest are the same job. 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    about = {name: getattr(request, name) for name in ABOUT_CONTENT}
    about |= {"formats": list(request.formats), "rc": dict(request.rc), "files": [file.name for file in request.files]}
    parts = [codec.pack(about), request.code, request.variables, request.stdin, *[file.data for file in request.files]]
    for part in parts:  # each with its length, so that no byte can pass from one to the next
        digest.update(b"-" if part is None else len(part).to_bytes(8, "big"))
        digest.update(part or b"")
    return digest.digest()


@dataclass(slots=True)
class Recent:
    """A job that has ended.

    Attributes:
        digest: of what it was asked to do.
        frames: of its reply; None once they were let go.
        ended_s: when, by the monotonic clock.
        bytes: it holds here.
    """

    digest: bytes
    frames: Frames | None
    ended_s: float
    bytes: int


class _Share:
    """What one owner holds."""

    __slots__ = ("bytes", "jobs", "results")

    def __init__(self) -> None:
        self.jobs: OrderedDict[JobKey, None] = OrderedDict()
        self.results: OrderedDict[JobKey, None] = OrderedDict()
        self.bytes = 0


class RecentResults:
    """The memory of recent results.

    Args:
        jobs_max: how many are known; 0 for none.
        bytes_max: they hold together.
        age_s_max: since their end.
        started_s: when this daemon began to remember, by the monotonic clock.
    """

    def __init__(self, jobs_max: int, bytes_max: int, age_s_max: float, started_s: float) -> None:
        self._started_s = started_s
        self._jobs: OrderedDict[JobKey, Recent] = OrderedDict()  # oldest first
        self._shares: dict[Owner, _Share] = {}
        self._forgot_s: dict[Owner, float] = {}
        self.bytes = 0
        self.configure(jobs_max, bytes_max, age_s_max)

    def configure(self, jobs_max: int, bytes_max: int, age_s_max: float) -> None:
        """Set other bounds; they hold from the next result on."""
        self._jobs_max = jobs_max
        self._bytes_max = bytes_max
        self._age_s_max = age_s_max

    def __len__(self) -> int:
        return len(self._jobs)

    def remember(self, key: JobKey, digest: bytes, frames: Frames, now_s: float) -> None:
        """A job has ended with this reply."""
        self.forget(key)
        recent = Recent(digest, frames, now_s, ENTRY_BYTES + sum(map(len, frames)))
        self._jobs[key] = recent
        share = self._shares.setdefault(key[0], _Share())
        share.jobs[key] = share.results[key] = None
        share.bytes += recent.bytes
        self.bytes += recent.bytes
        self._keep_bounds(now_s)

    def find(self, key: JobKey, now_s: float) -> Recent | None:
        """The job of this key, while it is known."""
        self._keep_bounds(now_s)
        return self._jobs.get(key)

    def knows_since(self, owner: Owner, since_s: float, now_s: float) -> bool:
        """True when every job of this owner that has ended after ``since_s`` is known here."""
        self._keep_bounds(now_s)
        return since_s > max(self._started_s, now_s - self._age_s_max, self._forgot_s.get(owner, float("-inf")))

    def _keep_bounds(self, now_s: float) -> None:
        while self._jobs:
            key, recent = next(iter(self._jobs.items()))
            if recent.ended_s > now_s - self._age_s_max:
                break
            self.forget(key)
        while len(self._jobs) > self._jobs_max:
            owner = max(self._shares, key=lambda name: len(self._shares[name].jobs))
            key = next(iter(self._shares[owner].jobs))
            self._forgot_s[owner] = self._jobs[key].ended_s
            self.forget(key)
        while self.bytes > self._bytes_max:
            holding = [name for name, share in self._shares.items() if share.results]
            if not holding:
                break  # the entries alone: their number bounds them
            share = self._shares[max(holding, key=lambda name: self._shares[name].bytes)]
            key, _ = share.results.popitem(last=False)
            recent = self._jobs[key]
            let_go = recent.bytes - ENTRY_BYTES
            recent.frames, recent.bytes = None, ENTRY_BYTES
            share.bytes -= let_go
            self.bytes -= let_go
        if self._forgot_s:
            for owner in [name for name, forgot_s in self._forgot_s.items() if forgot_s <= now_s - self._age_s_max]:
                del self._forgot_s[owner]

    def forget(self, key: JobKey) -> None:
        """As if there had been no such job."""
        recent = self._jobs.pop(key, None)
        if recent is None:
            return
        share = self._shares[key[0]]
        del share.jobs[key]
        share.results.pop(key, None)
        share.bytes -= recent.bytes
        self.bytes -= recent.bytes
        if not share.jobs:
            del self._shares[key[0]]

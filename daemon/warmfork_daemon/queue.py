"""Jobs that wait for a worker: first come, first served among those of one template, bounded in number and bytes.

There is a line for each template, so that jobs of one that has no worker free do not stand in the way of the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container

from warmfork_daemon.job import Job, JobKey


class JobQueue:
    """A bounded queue whose jobs can also leave from the middle.

    Args:
        jobs_max: number of jobs.
        bytes_max: size of all their parts together.
    """

    def __init__(self, jobs_max: int, bytes_max: int) -> None:
        self._jobs_max = jobs_max
        self._bytes_max = bytes_max
        self._jobs: OrderedDict[JobKey, Job] = OrderedDict()
        self._lines: dict[str, OrderedDict[JobKey, int]] = {}
        self._first, self._last = 0, 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, key: object) -> bool:
        return key in self._jobs

    def full_for(self, job: Job) -> str:
        """Why the job does not fit, empty when it does."""
        if len(self._jobs) >= self._jobs_max:
            return f"{len(self._jobs)} jobs wait, the most that may"
        if self._jobs and self.bytes + job.input_bytes > self._bytes_max:
            return f"waiting jobs hold {self.bytes} bytes and this one would exceed the {self._bytes_max} allowed"
        return ""

    def put(self, job: Job) -> None:
        """Append a job that fits."""
        self._last += 1
        self._insert(job, self._last)

    def put_back(self, job: Job) -> None:
        """Return a job that was taken and did not run to the head."""
        self._first -= 1
        self._insert(job, self._first)
        for order in (self._jobs, self._lines[job.template]):
            order.move_to_end(job.key, last=False)

    def _insert(self, job: Job, place: int) -> None:
        self._jobs[job.key] = job
        self._lines.setdefault(job.template, OrderedDict())[job.key] = place
        self.bytes += job.input_bytes

    def oldest(self, besides: Container[str] = ()) -> str | None:
        """The template whose first job came before that of every other one, those ``besides`` not looked at."""
        heads = [(next(iter(line.values())), name) for name, line in self._lines.items() if name not in besides]
        return min(heads)[1] if heads else None

    def take(self, template: str | None = None) -> Job | None:
        """Remove and return the first job, or the first of this template; None when there is none."""
        line = self._lines.get(template if template is not None else self.oldest() or "")
        return None if line is None else self.remove(next(iter(line)))

    def remove(self, key: JobKey) -> Job | None:
        """Remove the job of this key, wherever it stands."""
        job = self._jobs.pop(key, None)
        if job is not None:
            self.bytes -= job.input_bytes
            line = self._lines[job.template]
            del line[key]
            if not line:  # what is empty is not there: oldest() looks at the head of each
                del self._lines[job.template]
        return job

    def of_pid(self, pid: int) -> list[JobKey]:
        """Keys of the jobs that this client process waits for."""
        return [key for key, job in self._jobs.items() if job.peer.pid == pid]

    def take_expired(self, now_s: float) -> list[Job]:
        """Remove and return every job whose waiting has become hopeless."""
        late = [key for key, job in self._jobs.items() if job.expires_s <= now_s]
        return [job for job in map(self.remove, late) if job is not None]

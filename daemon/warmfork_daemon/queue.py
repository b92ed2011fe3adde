"""Jobs that wait for a worker: first come, first served, bounded in number and bytes."""

from __future__ import annotations

from collections import OrderedDict

from warmfork_daemon.job import Job


class JobQueue:
    """A bounded queue whose jobs can also leave from the middle.

    Args:
        jobs_max: number of jobs.
        bytes_max: size of all their parts together.
    """

    def __init__(self, jobs_max: int, bytes_max: int) -> None:
        self._jobs_max = jobs_max
        self._bytes_max = bytes_max
        self._jobs: OrderedDict[tuple[int, bytes], Job] = OrderedDict()
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
        self._jobs[job.key] = job
        self.bytes += job.input_bytes

    def put_back(self, job: Job) -> None:
        """Return a job that was taken and did not run to the head."""
        self.put(job)
        self._jobs.move_to_end(job.key, last=False)

    def take(self) -> Job | None:
        """Remove and return the head; None when there is none."""
        if not self._jobs:
            return None
        _, job = self._jobs.popitem(last=False)
        self.bytes -= job.input_bytes
        return job

    def remove(self, key: tuple[int, bytes]) -> Job | None:
        """Remove the job of this key, wherever it stands."""
        job = self._jobs.pop(key, None)
        if job is not None:
            self.bytes -= job.input_bytes
        return job

    def of_pid(self, pid: int) -> list[tuple[int, bytes]]:
        """Keys of the jobs that this client process waits for."""
        return [key for key, job in self._jobs.items() if job.peer.pid == pid]

    def take_expired(self, now_s: float) -> list[Job]:
        """Remove and return every job whose waiting has become hopeless."""
        late = [key for key, job in self._jobs.items() if job.expires_s <= now_s]
        return [job for job in map(self.remove, late) if job is not None]

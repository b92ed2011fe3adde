"""What a worker's resident memory is made of, and how much of it is its job's own doing.

Three kinds are told apart by the kernel: anonymous pages, pages of files, and pages of shared memory. Where the template's
heap lies in a memfd, a page of it that a worker only reads is shared memory; one that it writes to is copied and is
anonymous. A job can make shared memory of its own (an anonymous mapping with MAP_SHARED), which the kernel puts into the
same sum. So a job is charged with

- every anonymous page more than the idle worker had: what it allocated, and what of the memfd it wrote to;
- shared memory more than the idle worker had, as far as it has mapped more in ways that are not private memory; at the
  least what exceeds the size of the memfd. Either is a little off where a job reads much of the heap, or gives the kernel
  back what it found; RLIMIT_AS, which counts whatever is mapped, is the bound that nothing gets around;
- no page of a file: those are libraries and inputs, and the kernel drops them when memory is short.
"""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

_STATUS_BYTES: Final = 65_536  # read at every report and sample, so in one piece; mostly 1,500, more with many groups
_SIZES: Final = re.compile(rb"^((?:Vm|Rss)\w+):\s*(\d+) kB$", re.MULTILINE)
_IN_ORDER: Final = [
    *(b"VmPeak:", b"VmSize:", b"VmLck:", b"VmPin:", b"VmHWM:", b"VmRSS:", b"RssAnon:", b"RssFile:", b"RssShmem:"),
    *(b"VmData:", b"VmStk:", b"VmExe:", b"VmLib:"),
]
"""As the kernel writes them (task_mem in fs/proc/task_mmu.c): each with a number and its unit, three words."""
_NOT_USED: Final = (b"VmPeak:", b"VmLck:", b"VmPin:", b"VmRSS:")


class Resident(NamedTuple):
    """Memory of a process, in bytes.

    Attributes:
        anonymous, of_files, shared: parts of what is resident.
        peak: the most that the three had been together.
        other_mapped: address space that is neither private and writable nor code: shared mappings, and such as only read.
        mapped: all of it.
    """

    anonymous: int = 0
    of_files: int = 0
    shared: int = 0
    peak: int = 0
    other_mapped: int = 0
    mapped: int = 0

    @property
    def resident(self) -> int:
        """All that is resident."""
        return self.anonymous + self.of_files + self.shared

    def charge(self, idle: Resident, heap: int) -> int:
        """Bytes that are the job's.

        Args:
            idle: what the worker had before its job.
            heap: bytes of the memfd that the template's heap lies in.
        """
        mapped = max(0, self.other_mapped - idle.other_mapped)
        shared = max(min(self.shared - idle.shared, mapped), self.shared - heap, 0)
        return max(0, self.anonymous - idle.anonymous) + shared

    def peak_charge(self, idle: Resident, heap: int) -> int:
        """What was the job's at the peak, supposed that as much was not its own then as is now."""
        return max(0, self.peak - self.resident + self.charge(idle, heap))


def open_status(pid: int) -> int:
    """A descriptor to read what ``pid`` has, as often as wanted. Raises OSError when it is gone.

    It stays with this process: it never shows another that gets the same pid. To look the process up costs as much as to
    read, so it is done while the worker waits.
    """
    return os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)


def read_resident(status_fd: int) -> Resident | None:
    """What the process of ``open_status`` has; None for one without memory: a zombie, or one whose first thread has ended.

    Readable for a non-dumpable process, too. Raises OSError when it is gone, or the kernel does not tell what is needed.
    """
    data = os.pread(status_fd, _STATUS_BYTES, 0)
    words = data[data.find(b"\n" + _IN_ORDER[0]) :].split(None, 3 * len(_IN_ORDER))
    if words[: 3 * len(_IN_ORDER) : 3] == _IN_ORDER:
        # Every job's end waits for this; to look for each line takes twice as long.
        _, size, _, _, peak, _, anonymous, of_files, shared, private, stack, code, libraries = map(
            int, words[1 : 3 * len(_IN_ORDER) : 3]
        )
    else:
        found = {name + b":": int(kib) for name, kib in _SIZES.findall(data)}
        if not found:
            return None
        missing = [name.decode() for name in _IN_ORDER if name not in found and name not in _NOT_USED]
        if missing:
            raise OSError(f"this kernel does not tell {', '.join(missing)} of a process, so jobs could not be watched")
        _, size, _, _, peak, _, anonymous, of_files, shared, private, stack, code, libraries = (
            found.get(name, 0) for name in _IN_ORDER
        )
    return Resident(
        anonymous << 10,
        of_files << 10,
        shared << 10,
        peak << 10,
        (size - private - stack - code - libraries) << 10,
        size << 10,
    )

"""The seam for the kernel's guard: the last step before a worker says that it is ready.

What stands today is no_new_privs and the rlimits, set by ``entry``. Landlock and seccomp belong here, after every
descriptor and directory is in place and before the job is read; whoever raises here ends the worker unread.
"""

from __future__ import annotations

import os

from warmfork_worker.slots import Slot


def enter_kernel_guard(slot: Slot) -> None:
    """Bind this process to its slot by the kernel. Raises OSError when a layer cannot be applied."""
    here = os.getcwd()
    if not os.path.samefile(here, slot.work_dir):
        raise OSError(f"the worker stands in {here} and not in its slot {slot.work_dir}")

"""The kernel's guard: prepared in the template, entered by each worker as soon as it is born, before it reads its job.

Layers, in the order in which a worker gets them: its slot's mounts, a user namespace of its own (thread limit), rlimits,
no capability, no_new_privs, Landlock, non-dumpable, no descriptor but its own, seccomp. A step that fails raises, and a
worker whose guard raises never reads a job.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from warmfork_worker.kernel import calls, filter, landlock, namespaces, proc, rules
from warmfork_worker.kernel.host_trees import HostTrees
from warmfork_worker.kernel.numbers import this_machine
from warmfork_worker.kernel.rlimits import Limits, add_maxima, address_max
from warmfork_worker.kernel.steps import Place, Steps


class KernelGuard:
    """What every worker of a template is bound by.

    Args:
        limits: of each worker.
        trees: what of the host a job may read.
        readable: further files and directories that it may read, as the template sees them.
        identity: who workers are, where they may have a user namespace each; None where they may not.
        mounted_slots: the job's directories are ``noexec`` mounts, so files may be mapped as code.
        use_landlock, use_seccomp: layers that are there and wanted.
    """

    def __init__(
        self,
        limits: Limits,
        trees: HostTrees,
        readable: Sequence[str],
        *,
        identity: namespaces.Identity | None,
        mounted_slots: bool,
        use_landlock: bool,
        use_seccomp: bool,
    ) -> None:
        self._limits = limits
        self._identity = identity
        self._private = mounted_slots
        self._landlock_abi = landlock.abi() if use_landlock else 0
        self._grants = _open_grants(trees, readable) if use_landlock else []
        self._program = b""
        if use_seccomp:
            self._program = filter.compile_filter(rules.rules(file_exec=mounted_slots), this_machine())

    def address_max(self) -> int:
        """A worker's address space at most, when it is born with as much as this process has."""
        return address_max(self._limits)

    def add_limits(self, steps: Steps, address_bytes: Place) -> None:
        """The layers that need not be last: own user namespace, rlimits, capabilities, no_new_privs.

        Args:
            steps: of the worker.
            address_bytes: the place of ``address_max``.
        """
        if self._identity is not None:
            namespaces.own_user_namespace(self._identity, nested=self._private, later=steps)
        add_maxima(steps, self._limits, address_bytes, threads=self._identity is not None)
        if self._landlock_abi or self._program:
            # Files on a job's tmpfs are in nobody's resident memory: the kernel must not take the daemon for the culprit.
            proc.write_own("oom_score_adj", "1000", steps)
            calls.keep_capabilities(later=steps)
        calls.set_no_new_privileges(steps)

    def add_last(self, steps: Steps, directories: Sequence[str], below: Place, above: Place) -> None:
        """The last layers; afterwards nothing but the job can be done.

        Args:
            steps: of the worker.
            directories: the job's own.
            below, above: no descriptor from 3 to the first, nor from the second on, stays open.
        """
        if self._landlock_abi:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            own = [steps.add_into_place("openat", calls.AT_FDCWD, os.fsencode(path), flags, 0) for path in directories]
            grants: list[tuple[int | Place, int]] = [*self._grants, *((fd, landlock.JOB_TREE) for fd in own)]
            ruleset = landlock.add_ruleset(steps, self._landlock_abi, grants)
            landlock.add_restriction(steps, self._landlock_abi, ruleset)
        calls.set_dumpable(False, steps)
        steps.add("close_range", 3, below, 0)
        steps.add("close_range", above, 0xFFFFFFFF, 0)
        if self._program:
            calls.install_filter(self._program, steps)


def _open_grants(trees: HostTrees, readable: Sequence[str]) -> list[tuple[int, int]]:
    grants = [(path, landlock.USE_DEVICE if path == "/dev/null" else landlock.READ_FILE) for path in namespaces.DEVICES]
    grants += [
        (path, landlock.READ_TREE if os.path.isdir(path) else landlock.READ_FILE)
        for path in dict.fromkeys((*trees.directories, *trees.files, *readable))
    ]
    return [(os.open(path, os.O_PATH | os.O_CLOEXEC), rights) for path, rights in grants if os.path.exists(path)]

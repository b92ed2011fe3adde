"""The kernel's guard: prepared in the template, entered by each worker while it waits, before it reads its job.

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
from warmfork_worker.kernel.rlimits import Limits, set_maxima


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

    def limit(self) -> None:
        """The layers that need not be last: own user namespace, rlimits, capabilities, no_new_privs. Raises OSError."""
        if self._identity is not None:
            namespaces.own_user_namespace(self._identity, nested=self._private)
        set_maxima(self._limits, threads=self._identity is not None)
        if self._landlock_abi or self._program:
            # Files on a job's tmpfs are in nobody's resident memory: the kernel must not take the daemon for the culprit.
            proc.write_own("oom_score_adj", "1000")
            calls.keep_capabilities()
        calls.set_no_new_privileges()

    def close(self, directories: Sequence[str], keep_fds: Sequence[int]) -> None:
        """The last layers; afterwards nothing but the job can be done. Raises OSError.

        Args:
            directories: the job's own.
            keep_fds: descriptors that stay open besides 0, 1 and 2.
        """
        if self._landlock_abi:
            ruleset = landlock.Ruleset(self._landlock_abi)
            for fd, rights in self._grants:
                ruleset.allow(fd, rights)
            for path in directories:
                fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                ruleset.allow(fd, landlock.JOB_TREE)
                os.close(fd)
            ruleset.restrict_self()
        calls.set_dumpable(False)
        _close_all_but(keep_fds)
        if self._program:
            calls.install_filter(self._program)


def _open_grants(trees: HostTrees, readable: Sequence[str]) -> list[tuple[int, int]]:
    grants = [(path, landlock.USE_DEVICE if path == "/dev/null" else landlock.READ_FILE) for path in namespaces.DEVICES]
    grants += [
        (path, landlock.READ_TREE if os.path.isdir(path) else landlock.READ_FILE)
        for path in dict.fromkeys((*trees.directories, *trees.files, *readable))
    ]
    return [(os.open(path, os.O_PATH | os.O_CLOEXEC), rights) for path, rights in grants if os.path.exists(path)]


def _close_all_but(kept: Sequence[int]) -> None:
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    calls.call("close_range", first, 0xFFFFFFFF, 0)

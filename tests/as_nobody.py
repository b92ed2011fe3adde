"""``python -m tests.as_nobody SHARED_DIR ARGUMENTS…``: ``python -m warmfork ARGUMENTS…`` as uid and gid 65534.

A checkout or an interpreter below a closed home could not be read by that uid, so the process gets a root of its own, in
which each tree that it needs stands at its own path below open parents; there it is an ordinary user without any
privilege. SHARED_DIR, on the host and inside, is the one directory that is its own.
"""

from __future__ import annotations

import os
import sys

from warmfork_worker.kernel import calls, namespaces
from warmfork_worker.kernel.host_trees import host_trees

NOBODY = namespaces.Identity(65_534, 65_534)
_READ_ONLY = calls.MOUNT_ATTR_RDONLY | calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV


def _more() -> list[str]:
    # By this file Python finds out, when it starts, that it stands in a virtual environment; its program may be the last of
    # a chain of links, which all lead into this directory.
    wanted = (os.path.join(sys.prefix, "pyvenv.cfg"), os.path.dirname(os.path.realpath(sys.executable)))
    return [path for path in wanted if os.path.exists(path)]


def main(shared_dir: str, arguments: list[str]) -> None:
    """Make the root, drop everything, exec."""
    trees = host_trees(["/usr/share"])
    os.chown(shared_dir, NOBODY.uid, NOBODY.gid)
    calls.call("unshare", calls.CLONE_NEWNS | calls.CLONE_NEWPID)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    calls.die_with_parent()
    calls.make_private()
    sources = [
        (path, calls.clone_tree(path))
        for path in (*trees.directories, *trees.files, *_more(), "/dev", "/etc", shared_dir)
    ]
    root = calls.make_tmpfs(0, size="64m", mode="0755")
    calls.attach(root, "/mnt")
    for path, fd in sources:
        if path != shared_dir and path != "/dev":
            calls.set_mount_attributes(fd, _READ_ONLY)
        place = "/mnt" + path
        os.makedirs(place if os.path.isdir(path) else os.path.dirname(place), exist_ok=True)
        if not os.path.isdir(path) and not os.path.exists(place):
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        calls.attach(fd, place)
    for path, leads_to in trees.links:
        os.symlink(leads_to, "/mnt" + path)
    for path in ("/proc", "/tmp"):
        os.makedirs("/mnt" + path, exist_ok=True)
    calls.call("mount", b"proc", b"/mnt/proc", b"proc", 0, None)
    os.chmod("/mnt/tmp", 0o1777)
    os.chdir("/mnt")
    calls.call("pivot_root", b".", b".")
    calls.detach(".")
    os.chdir("/")
    namespaces.become(NOBODY)
    calls.set_no_new_privileges()
    calls.die_with_parent()
    os.execve(sys.executable, [sys.executable, "-m", "warmfork", *arguments], {**os.environ, "HOME": shared_dir})


if __name__ == "__main__":
    os.umask(0o022)
    main(sys.argv[1], sys.argv[2:])

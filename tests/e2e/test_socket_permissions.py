"""Who may reach a daemon's socket, seen on the files that a whole daemon makes."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import PACKAGE_PATHS, Served

_STRANGER = """
import os, sys
from warmfork import Client, WarmforkError  # while they can be read
Client("ipc:///nowhere").close()
address, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.setgroups([]); os.setgid(gid); os.setuid(uid)
try:
    with Client(address) as client:
        print(client.execute("print(6 * 7)").verdict)
except WarmforkError as problem:
    print(type(problem).__name__)
"""


def as_user(served: Served, uid: int, gid: int) -> str:
    command = [sys.executable, "-c", _STRANGER, served.address, str(uid), str(gid)]
    environ = {"PYTHONPATH": PACKAGE_PATHS, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=60).stdout.strip()


def rights(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return stat.S_IMODE(facts.st_mode), facts.st_gid


def test_a_users_daemon_is_the_users_alone(serve: Callable[..., Served]) -> None:
    """Directory 0700, socket and key 0600."""
    served = serve()
    expected = [0o700, 0o600, 0o600]
    assert expected == [rights(path)[0] for path in (served.directory, served.socket, served.directory / "key")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to any group and become another user")
def test_a_system_wide_daemon_is_its_groups(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Directory 0750, socket 0660, key 0640, all of the group; a member gets answers, another user of no group none."""
    group = next(found for found in grp.getgrall() if found.gr_gid not in (0, 65_534))
    served = serve("--system", "--socket-group", group.gr_name)
    expected = [(0o750, group.gr_gid), (0o660, group.gr_gid), (0o640, group.gr_gid)]
    assert expected == [rights(path) for path in (served.directory, served.socket, served.directory / "key")]
    for directory in tmp_path, *tmp_path.parents:
        if directory.stat().st_uid == os.geteuid() and directory.name.startswith(("pytest-", "popen-", "test_")):
            directory.chmod(0o711)
    assert ("ok", "DaemonUnreachable") == (as_user(served, 65_534, group.gr_gid), as_user(served, 65_534, 65_534))

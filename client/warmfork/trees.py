"""Removing a directory tree that a job has made: whatever its depth, modes and number of entries."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections import deque


def wipe_tree(path: str) -> None:
    """Remove ``path`` and all below it; never follows a symlink, never raises.

    Every directory is moved to the top of the tree before it is looked into, so neither recursion nor the length of a
    path grows with a hostile depth. Nobody else may write in the tree meanwhile. What cannot be removed stays.
    """
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
    mark, moved = secrets.token_hex(8), 0
    pending = deque([path])
    while pending:
        directory = pending.popleft()
        for name, is_directory in _entries(directory):
            entry = os.path.join(directory, name)
            with contextlib.suppress(OSError):
                if not is_directory:
                    os.unlink(entry)
                    continue
                os.chmod(entry, 0o700)  # moving a directory changes its "..", which takes the right to write in it
                moved += 1
                target = os.path.join(path, f"{mark}-{moved}")
                os.rename(entry, target)
                pending.append(target)
        if directory != path:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _entries(directory: str) -> list[tuple[str, bool]]:
    try:
        os.chmod(directory, 0o700)
        with os.scandir(directory) as found:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    except OSError:
        return []


def wipe_inside(path: str) -> None:
    """Remove whatever stands in a directory, as ``wipe_tree`` does; nothing where the directory itself is gone."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(path):
            wipe_tree(os.path.join(path, name))

"""What the configuration says of the kernel's guard, as the template is told it."""

from __future__ import annotations

import pwd
from typing import Final, TypedDict

from warmfork.errors import ConfigError
from warmfork_daemon.config import Config

SPARE_FILES: Final = 256
"""Inodes besides what a job may bring home: input files, caches, directories."""


class GuardOrders(TypedDict):
    """The fields of ``control.Start`` that concern the guard."""

    disk_bytes_max: int
    job_files_max: int
    threads_max: int
    worker_uid: int
    worker_gid: int
    unguarded: bool
    layers_off: tuple[str, ...]


def guard_orders(config: Config) -> GuardOrders:
    """For every template of this daemon. Raises ConfigError when the workers' user does not exist or is root."""
    uid, gid = _ids_of(config.guard.user)
    limits = config.limits
    return GuardOrders(
        disk_bytes_max=limits.disk_bytes + limits.input_bytes_max,
        job_files_max=limits.files_max + SPARE_FILES,
        threads_max=limits.threads_max,
        worker_uid=uid,
        worker_gid=gid,
        unguarded=config.guard.unguarded,
        layers_off=config.guard.off,
    )


def _ids_of(user: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        uid, gid = entry.pw_uid, entry.pw_gid
    except (KeyError, OverflowError):
        if not user.isdigit():
            raise ConfigError(f"guard.user = {user!r}: there is no such user on this machine") from None
        uid = gid = int(user)
    if uid == 0 or gid == 0:
        raise ConfigError(f"guard.user = {user!r} is root or in its group; jobs must run as somebody else")
    return uid, gid

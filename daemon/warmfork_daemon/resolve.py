"""Filling in what the configuration leaves to the machine."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from warmfork_daemon.config import Config


def resolved(config: Config) -> Config:
    """The same configuration with numbers for 0 (from the CPUs this process may use) and the shipped font directories."""
    pool = config.pool.resolved(len(os.sched_getaffinity(0)))
    font_dirs = (*config.template.font_dirs, *_own_font_dirs())
    return dataclasses.replace(config, pool=pool, template=dataclasses.replace(config.template, font_dirs=font_dirs))


def _own_font_dirs() -> list[str]:
    """``fonts/`` of the checkout, where this is one, and of the system-wide configuration."""
    spec = importlib.util.find_spec("warmfork_daemon")
    found = ["/etc/warmfork/fonts"]
    if spec is not None and spec.origin is not None:
        found.insert(0, str(Path(spec.origin).parents[2] / "fonts"))
    return [path for path in found if os.path.isdir(path)]


def new_instance(environ: Mapping[str, str]) -> str:
    """The mark of this daemon's processes: ``$WARMFORK_INSTANCE`` if set, else made from the pid."""
    return environ.get("WARMFORK_INSTANCE") or f"daemon-{os.getpid()}"

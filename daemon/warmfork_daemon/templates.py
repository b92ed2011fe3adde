"""What each template is to be: from the configuration to its specification and to the order that starts it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmfork.wire import control
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork_daemon.config import Config
from warmfork_daemon.guarding import guard_orders

LIGHT_NAME: Final = f"{TEMPLATE_DEFAULT}.light"  # which no operator's template can be called
LIGHT_BASE: Final = "light"
_CPU_SPARE_S: Final = 60  # entering the worker, and what its job is told beyond its limit


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """One template.

    Attributes:
        name: what requests call it.
        base: ``science`` or ``none``, as in the configuration; ``light`` for the default one's companion.
        python: its interpreter; empty for the daemon's own.
        preload: modules besides those of the base.
        rehearse: draw each common figure kind once, between forks.
        font_dirs: where an operator's fonts may be, first match wins.
        start_timeout_s: from its start until it is ready.
        idle_workers: how many are to wait.
        idle_workers_max: how many while jobs find none.
    """

    name: str
    base: str
    python: str
    preload: tuple[str, ...]
    rehearse: bool
    font_dirs: tuple[str, ...]
    start_timeout_s: float
    idle_workers: int
    idle_workers_max: int

    @property
    def is_light(self) -> bool:
        """Whether it is the default one's companion, which no request can name."""
        return self.base == LIGHT_BASE

    @property
    def is_foreign(self) -> bool:
        """Whether it runs another interpreter than the daemon.

        By name and not by what it leads to: the python of a virtual environment is a link to one that has other libraries.
        """
        return self.python not in ("", sys.executable)


def template_names(config: Config) -> tuple[str, ...]:
    """What requests may name, the default first."""
    return (TEMPLATE_DEFAULT, *config.templates)


def template_specs(config: Config) -> tuple[TemplateSpec, ...]:
    """Every template of a configuration whose numbers are resolved, the default first."""
    own = config.template
    default = TemplateSpec(
        TEMPLATE_DEFAULT,
        "science",
        own.python,
        own.preload,
        own.rehearse,
        own.font_dirs,
        own.start_timeout_s,
        config.pool.idle_workers,
        config.pool.idle_workers_max,
    )
    named = (
        TemplateSpec(
            name,
            one.base,
            one.python,
            one.preload,
            one.rehearse,
            tuple(dict.fromkeys((*one.font_dirs, *own.font_dirs))),
            one.start_timeout_s,
            one.idle_workers,
            one.idle_workers,
        )
        for name, one in config.templates.items()
    )
    return (default, *named)


def start_order(spec: TemplateSpec, config: Config, slots_dir: Path, left_out: Sequence[str]) -> control.Start:
    """The first packet to the template.

    Args:
        spec: which template.
        config: the maxima of its workers.
        slots_dir: its own directory of slots.
        left_out: modules found to start threads.
    """
    limits = config.limits
    return control.Start(
        name=spec.name,
        base=spec.base,
        preload=spec.preload,
        left_out=tuple(left_out),
        rehearse=spec.rehearse,
        heap_memfd=config.pool.heap_memfd == "auto",
        joined_mappings=config.pool.joined_mappings == "auto",
        immortal_objects=config.pool.immortal_objects == "auto",
        fresh_memory=config.pool.fresh_memory == "auto",
        native_steps=config.pool.native_steps == "auto",
        hot_pages=config.pool.hot_pages == "auto",
        chart_shortcuts=config.pool.chart_shortcuts == "auto",
        font_dirs=spec.font_dirs,
        slots_dir=str(slots_dir),
        nice=config.pool.worker_nice,
        file_bytes_max=limits.file_bytes_max,
        open_files_max=limits.open_files_max,
        memory_bytes_max=limits.memory_bytes_max + limits.input_bytes_max,
        cpu_s_max=int(limits.timeout_s_max * limits.cpu_factor) + _CPU_SPARE_S,
        **guard_orders(config),
    )

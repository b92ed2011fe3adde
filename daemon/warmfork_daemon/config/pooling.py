"""The settings of the workers: how many stand ready, how many run, and what makes them cheaper."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from warmfork_daemon.config.declare import setting as _setting

Switch = Literal["auto", "off"]


def _switch(text: str) -> Switch:
    switch: Switch = _setting("choice", "auto", text, choices=("auto", "off"))
    return switch


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How many workers stand ready and how many run."""

    idle_workers: int = _setting(
        "integer", 0, "Workers kept forked ahead of the jobs; 0 means CPUs + 2.", least=0, most=1_024
    )
    idle_workers_max: int = _setting(
        "integer",
        0,
        "Most workers kept forked ahead, while jobs come in such bursts that they find none; 0 means idle_workers, or"
        " 2 x CPUs + 2 where that is 0, too, but no more than may run.",
        least=0,
        most=1_024,
    )
    running_max: int = _setting(
        "integer", 0, "Jobs that run at the same time; 0 means 2 x CPUs + 2.", least=0, most=1_024
    )
    worker_nice: int = _setting(
        "integer", 10, "Scheduling niceness of the template and of the workers forked from it.", least=0, most=19
    )
    heap_memfd: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Move a template's heap into a memfd, which makes forks cheap; auto: where it can be done."
    )
    joined_mappings: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Map a library's code and its constants as one, so that a fork has fewer mappings to copy; auto: where they lie side by"
        " side."
    )
    immortal_objects: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Let what a template holds be counted no more, so that workers copy less of its memory; auto: from Python 3.12 on."
    )
    fresh_memory: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Use up what a template has free, so that workers allocate in memory of their own; auto: where this was built at"
        " installation."
    )
    native_steps: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Let native code fork workers and make the system calls of their guard; auto: where it was built at installation."
    )
    hot_pages: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Let workers copy and map in bulk what any job meets, while they wait, and copy what drawing writes to, once code is"
        " seen to draw; auto: where the kernel can (Linux 6.14)."
    )
    chart_shortcuts: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Let matplotlib lay out a text and find ticks once where it would do so several times, and compress charts that"
        " warmfork renders more cheaply, with the same pixels; auto: where this matplotlib is known."
    )
    light: Switch = _switch(  # it makes a dataclasses.field  # noqa: RUF009
        "Run jobs of the default template that need none of its libraries in workers that were forked without them;"
        " auto: where workers can load libraries late."
    )
    light_workers: int = _setting(
        "integer", 0, "Such workers kept forked ahead; 0 means as many as idle_workers.", least=0, most=1_024
    )
    fork_delay_ms: float = _setting(
        "number",
        4.0,
        "Pause between a reply leaving and its worker being ended and replaced.",
        least=0.0,
        most=1_000.0,
        unit="ms",
    )

    def resolved(self, cpus: int) -> PoolSettings:
        """The same settings with each 0 replaced by the number it stands for on a machine with ``cpus`` CPUs."""
        idle_workers = self.idle_workers or cpus + 2
        running_max = self.running_max or 2 * cpus + 2
        most = self.idle_workers_max or self.idle_workers or min(running_max, 2 * cpus + 2)
        return dataclasses.replace(
            self,
            idle_workers=idle_workers,
            idle_workers_max=max(idle_workers, most),
            light_workers=self.light_workers or idle_workers,
            running_max=running_max,
        )

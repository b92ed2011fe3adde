"""Jobs of the default template that need none of its libraries run beside it, in workers that were forked without them.

Nobody can name this companion, and nothing tells a job where it ran but the time that it took. It is a convenience: while
it is not there, jobs run as they always did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from warmfork.wire.control import Layer
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.needs import needs_science
from warmfork_daemon.templates import LIGHT_BASE, LIGHT_NAME, TemplateSpec

MEMORY_BYTES_MIN: Final = 512 << 20
"""Libraries that come late count as the job's own memory; a job with a smaller limit finds them there beforehand."""

_CODE_SUFFIXES: Final = (".py", ".pyc", ".so")


def light_spec(default: TemplateSpec, idle_workers: int) -> TemplateSpec:
    """The companion of the default template."""
    return replace(default, name=LIGHT_NAME, base=LIGHT_BASE, rehearse=False, idle_workers=idle_workers)


def loads_late(layers: Sequence[Layer]) -> bool:
    """Whether a guarded worker can still load native libraries: where it cannot, they must be there before the guard is."""
    active = {layer.name for layer in layers if layer.active}
    return "namespaces" in active or "seccomp" not in active


def may_run_light(request: ExecuteRequest, template: str, memory_bytes: int) -> bool:
    """Whether this job, of the template it asks for, can do without the libraries."""
    return (
        template == TEMPLATE_DEFAULT
        and memory_bytes >= MEMORY_BYTES_MIN
        and not request.rc
        and not (request.files and any(file.name.endswith(_CODE_SUFFIXES) for file in request.files))
        and not needs_science(bytes(request.code))
    )

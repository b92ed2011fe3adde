"""Which jobs may run light, and what becomes of those that wait for light workers that do not come."""

from __future__ import annotations

from typing import Any

import pytest

from warmfork.wire.control import Layer
from warmfork.wire.records import PRIORITIES, TEMPLATE_DEFAULT, InputFile
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.config import load
from warmfork_daemon.config.named import TEMPLATE_NAME
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.light import MEMORY_BYTES_MIN, light_spec, loads_late, may_run_light
from warmfork_daemon.queue import JobQueue
from warmfork_daemon.templates import LIGHT_NAME, template_names, template_specs


def request(code: bytes = b"print(1)", **named: Any) -> ExecuteRequest:
    return ExecuteRequest(bytes(16), code, **named)


def test_a_plain_job_of_the_default_template() -> None:
    """It may; one of another template may not, nor one with little memory."""
    assert may_run_light(request(), TEMPLATE_DEFAULT, MEMORY_BYTES_MIN)
    assert not may_run_light(request(), "light", MEMORY_BYTES_MIN)
    assert not may_run_light(request(), TEMPLATE_DEFAULT, MEMORY_BYTES_MIN - 1)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"rc": {"figure.dpi": 50}}, False),
        ({"files": (InputFile("data.csv", b"a"),)}, True),
        ({"files": (InputFile("data.csv", b"a"), InputFile("pkg/helper.py", b"import numpy"))}, False),
        ({"files": (InputFile("native.so", b""),)}, False),
    ],
)
def test_what_a_job_brings(named: dict[str, Any], expected: bool) -> None:
    """Data does not matter; modules and settings of matplotlib do."""
    assert expected == may_run_light(request(**named), TEMPLATE_DEFAULT, MEMORY_BYTES_MIN)


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ((), True),
        (("seccomp",), False),
        (("seccomp", "landlock"), False),
        (("seccomp", "namespaces"), True),
        (("landlock",), True),
    ],
)
def test_where_libraries_can_come_late(active: tuple[str, ...], expected: bool) -> None:
    """A filter that refuses code from files, which is the one without namespaces, leaves no way to load one."""
    layers = [Layer(name, name in active, "") for name in ("seccomp", "landlock", "namespaces")]
    assert expected == loads_late(layers)


def test_the_companion_is_no_template_of_anybodys() -> None:
    """Its name cannot be configured and is not among those that requests may use; it is the default one but for its base."""
    config = load(environ={}, overrides={})
    default = template_specs(config)[0]
    spec = light_spec(default, 3)
    assert TEMPLATE_NAME.fullmatch(LIGHT_NAME) is None
    assert LIGHT_NAME not in template_names(config)
    assert (LIGHT_NAME, True, 3, default.python, default.preload) == (
        spec.name,
        spec.is_light,
        spec.idle_workers,
        spec.python,
        spec.preload,
    )


def a_job(number: int, line: str, *, uid: int = 1, priority: str = PRIORITIES[0]) -> Job:
    job = Job(
        ExecuteRequest(number.to_bytes(16, "big"), b""),
        Peer(0, b"r", uid, 1),
        "strict",
        1.0,
        1,
        10,
        0.0,
        100.0,
        line=line,
    )
    job.priority = priority
    return job


def test_lines_are_merged_in_order_of_coming() -> None:
    """Jobs of a line that is given up stand where they would had they never stood in it; others are not touched."""
    queue = JobQueue(100, 1 << 20)
    jobs = [a_job(number, LIGHT_NAME if number % 2 else TEMPLATE_DEFAULT) for number in range(6)]
    jobs += [a_job(6, LIGHT_NAME, priority=PRIORITIES[1]), a_job(7, LIGHT_NAME, uid=2)]
    for job in jobs:
        queue.put(job)
    assert 5 == queue.merge(LIGHT_NAME, TEMPLATE_DEFAULT)
    assert 0 == queue.merge(LIGHT_NAME, TEMPLATE_DEFAULT)
    assert queue.take(LIGHT_NAME) is None
    assert {TEMPLATE_DEFAULT} == {job.line for job in jobs}
    taken = []
    while (one := queue.take(TEMPLATE_DEFAULT)) is not None:
        taken.append(int.from_bytes(one.request.id, "big"))
    assert [0, 1, 2, 3, 4, 5, 6] == [number for number in taken if number != 7]
    assert 7 in taken[:2]  # the other owner's turn
    assert (0, 0) == (len(queue), queue.bytes)

"""Admission refuses what the configuration does not allow, in words that say what is, and decides the rest."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec import structs

from warmfork.errors import RequestRefused
from warmfork.wire.records import InputFile
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.admission import admit
from warmfork_daemon.config import Config, load
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job

PEER = Peer(0, b"route", 1000, 4242)
JOB_ID = bytes(range(16))
MIB = 1 << 20
GIB = 1 << 30


def config_of(**overrides: Any) -> Config:
    return load(environ={}, overrides={key.replace("__", "."): value for key, value in overrides.items()})


def admitted(config: Config | None = None, *, now_s: float = 50.0, code: bytes = b"1", **fields: Any) -> Job:
    return admit(ExecuteRequest(JOB_ID, code, **fields), PEER, config or config_of(), now_s)


def refusal(config: Config | None = None, **fields: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        admitted(config, **fields)
    return caught.value


def test_open_choices_are_made() -> None:
    """A request that names nothing gets the configuration's own numbers and policy."""
    config = config_of(
        limits__timeout_s=7.0, limits__memory_bytes=64 * MIB, queue__wait_s_max=30.0, policy__default="standard"
    )
    job = admitted(config)
    assert ("standard", 7.0, 64 * MIB) == (job.policy, job.timeout_s, job.memory_bytes)
    assert (50.0, 80.0, 0.0) == (job.submitted_s, job.expires_s, job.dispatched_s)
    assert (PEER, JOB_ID, (1000, JOB_ID)) == (job.peer, job.request.id, job.key)


def test_named_choices_are_kept() -> None:
    """What a request names within the bounds holds, small numbers too."""
    job = admitted(timeout_s=0.001, memory_bytes=1, policy="standard", deadline_s=2.5, template="science")
    assert ("standard", 0.001, 1, 52.5) == (job.policy, job.timeout_s, job.memory_bytes, job.expires_s)


def test_the_bounds_themselves_are_allowed() -> None:
    """At most means at most."""
    config = config_of(limits__timeout_s_max=200.0, limits__memory_bytes_max=2 * GIB, limits__code_bytes_max=1024)
    job = admitted(config, timeout_s=200.0, memory_bytes=2 * GIB, code=b"#" * 1024)
    assert (200.0, 2 * GIB) == (job.timeout_s, job.memory_bytes)


def test_input_bytes_are_all_parts() -> None:
    """Code, variables, stdin and every file count for what the job makes the daemon hold."""
    files = (InputFile("a", b"1" * 100), InputFile("b", memoryview(b"2" * 1_000)))
    assert 11_111 == admitted(code=b"#" * 10_000, variables=b"v" * 10, stdin=b"s", files=files).input_bytes
    assert 1 == admitted().input_bytes


@pytest.mark.parametrize(("deadline_s", "waits_s"), [(None, 600.0), (5.0, 5.0), (600.0, 600.0), (86_400.0, 600.0)])
def test_waiting_ends_at_the_deadline_or_the_queues_bound(deadline_s: float | None, waits_s: float) -> None:
    """A deadline shortens the wait and never lengthens it."""
    assert 50.0 + waits_s == admitted(deadline_s=deadline_s).expires_s


LIMITS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"limits__timeout_s_max": 130.0}, {"timeout_s": 130.5}, "timeout_s", "130 s"),
    ({"limits__timeout_s_max": 86_400.0}, {"timeout_s": 86_401.0}, "timeout_s", "86400 s"),
    ({"limits__memory_bytes_max": 1 << 30}, {"memory_bytes": (1 << 30) + 1}, "memory_bytes", "1073741824 bytes"),
    ({}, {"memory_bytes": 1 << 40}, "memory_bytes", "8589934592 bytes"),
    ({"limits__code_bytes_max": 1024}, {"code": b"#" * 1_025}, "the code", "1024 bytes"),
    ({}, {"code": b"#" * (MIB + 1)}, "the code", "1048576 bytes"),
    ({"limits__input_bytes_max": 10}, {"variables": b"v" * 11}, "variables", "10 bytes"),
    ({"limits__input_bytes_max": 10}, {"stdin": b"v" * 11}, "stdin", "10 bytes"),
    ({"limits__input_bytes_max": 10}, {"files": (InputFile("a", b"v" * 11),)}, "files", "10 bytes"),
    (
        {"limits__input_bytes_max": 10},
        {"files": (InputFile("a", b"1234"),), "stdin": b"1234", "variables": b"123"},
        "files, variables and stdin together",
        "10 bytes",
    ),
    (
        {"limits__files_max": 1},
        {"files": (InputFile("a", b""), InputFile("b", b""))},
        "the number of files",
        "at most 1",
    ),
]


@pytest.mark.parametrize(("overrides", "fields", "what", "allowed"), LIMITS)
def test_over_a_limit_is_refused(overrides: dict[str, Any], fields: dict[str, Any], what: str, allowed: str) -> None:
    """The refusal is ``limit_not_allowed``, names what is too much and the exact number allowed, with its unit."""
    refused = refusal(config_of(**overrides), **fields)
    assert "limit_not_allowed" == refused.code
    assert what in str(refused)
    assert allowed in str(refused)


@pytest.mark.parametrize(("overrides", "fields", "what", "allowed"), LIMITS)
def test_refusals_are_sentences(overrides: dict[str, Any], fields: dict[str, Any], what: str, allowed: str) -> None:
    """No double space, no dangling one, no number in exponents."""
    said = str(refusal(config_of(**overrides), **fields))
    assert " ".join(said.split()) == said
    assert re.search(r"\de[+-]\d", said) is None


@pytest.mark.parametrize("policy", ["off", "", "STRICT", "no such"])
def test_a_policy_that_is_not_allowed_is_refused(policy: str) -> None:
    """The refusal names the policy, those allowed, and the setting; an empty name is no name."""
    if not policy:
        assert "strict" == admitted(policy=policy).policy
        return
    refused = refusal(policy=policy)
    assert "policy_not_allowed" == refused.code
    assert all(word in str(refused) for word in (repr(policy), "strict, standard", "policy.allowed"))


def test_any_configured_policy_is_allowed() -> None:
    """An operator may allow ``off``, and may allow it alone."""
    config = config_of(policy__default="off", policy__allowed=("off",))
    assert ("off", "off") == (admitted(config).policy, admitted(config, policy="off").policy)
    assert "which takes off;" in str(refusal(config, policy="strict"))


def test_an_unknown_template_is_refused() -> None:
    """The refusal names the template asked for and all that there are, the default first."""
    config = config_of(**{"templates.stats.preload": ["scipy"], "templates.light.base": "none"})
    for name in ("quantum", "Light", ""):
        refused = refusal(config, template=name)
        assert "unknown_template" == refused.code
        assert f"no template {name!r}; this daemon has science, stats, light;" in str(refused)


def test_the_template_is_decided() -> None:
    """A job belongs to the template it names, and to the default one where it names none."""
    config = config_of(**{"templates.light.base": "none"})
    assert ("science", "light") == (admitted(config).template, admitted(config, template="light").template)


def test_nothing_of_the_request_is_changed() -> None:
    """The job holds the request as it came; the queue and the reply see the same object."""
    request = ExecuteRequest(JOB_ID, b"1", rc={"figure.dpi": 70}, formats=("svg", "png"))
    assert structs.replace(request) == admit(request, PEER, config_of(), 0.0).request

"""Admission: is this request one the daemon takes, and with which limits? Pure."""

from __future__ import annotations

from warmfork.errors import RequestRefused
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon.config import Config
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.templates import template_names


def admit(request: ExecuteRequest, peer: Peer, config: Config, now_s: float) -> Job:
    """The job for a request, every open choice made.

    Raises:
        RequestRefused: it asks for what the configuration does not allow; the message says what is allowed.
    """
    bounds = config.limits
    _at_most("timeout_s", request.timeout_s, bounds.timeout_s_max, "s")
    _at_most("memory_bytes", request.memory_bytes, bounds.memory_bytes_max, "bytes")
    _at_most("the code", len(request.code), bounds.code_bytes_max, "bytes")
    input_bytes = len(request.variables or b"") + len(request.stdin or b"")
    if request.files:
        input_bytes += sum([len(file.data) for file in request.files])
    _at_most("files, variables and stdin together", input_bytes, bounds.input_bytes_max, "bytes")
    _at_most("the number of files", len(request.files), bounds.files_max, "")
    policy = request.policy or config.policy.default
    if policy not in config.policy.allowed:
        raise RequestRefused(
            "policy_not_allowed",
            f"policy {policy!r} is not allowed by this daemon, which takes {', '.join(config.policy.allowed)}; "
            "the operator decides with policy.allowed",
        )
    template = TEMPLATE_DEFAULT if request.template is None else request.template
    if template != TEMPLATE_DEFAULT and template not in template_names(config):
        raise RequestRefused(
            "unknown_template",
            f"there is no template {template!r}; this daemon has {', '.join(template_names(config))}; "
            "the operator describes further ones in [templates.NAME]",
        )
    waits_s = config.queue.wait_s_max if request.deadline_s is None else request.deadline_s
    return Job(
        request=request,
        peer=peer,
        policy=policy,
        timeout_s=bounds.timeout_s if request.timeout_s is None else request.timeout_s,
        memory_bytes=bounds.memory_bytes if request.memory_bytes is None else request.memory_bytes,
        input_bytes=input_bytes + len(request.code),
        submitted_s=now_s,
        expires_s=now_s + min(waits_s, config.queue.wait_s_max),
        template=template,
        tenant=request.tenant,
        priority=request.priority,
    )


def _at_most(what: str, value: float | int | None, most: float | int, unit: str) -> None:
    if value is not None and value > most:
        raise RequestRefused(
            "limit_not_allowed",
            " ".join(f"{what}: {_plain(value)} {unit} where this daemon allows at most {_plain(most)} {unit}".split()),
        )


def _plain(value: float | int) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}".rstrip("0")

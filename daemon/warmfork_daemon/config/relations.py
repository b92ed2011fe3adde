"""What values must hold against each other, once each is allowed by itself."""

from __future__ import annotations

from typing import Final

from warmfork_daemon.config.settings import ALWAYS_REQUIRED, Config, value_of
from warmfork_daemon.config.values import format_size, refusal

TEMPLATES_MAX: Final = 15

_AT_MOST: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("limits.timeout_s_max", ("limits.timeout_s",), "a job without a timeout would break the maximum"),
    ("limits.memory_bytes_max", ("limits.memory_bytes",), "a job without a memory limit would break the maximum"),
    ("limits.reply_bytes_max", ("limits.chart_bytes_max",), "such a chart would never fit into a reply"),
    ("limits.reply_bytes_max", ("limits.stdout_bytes", "limits.stderr_bytes"), "such output would never fit"),
    ("queue.bytes_max", ("limits.code_bytes_max", "limits.input_bytes_max"), "such a job could never be queued"),
)
"""(the bound, the keys whose sum it bounds, what would happen otherwise)."""


def check_relations(config: Config) -> None:
    """Raise ConfigError, naming both sides and their origins, where two settings contradict each other."""
    for bound, parts, why in _AT_MOST:
        total = sum(value_of(config, key) for key in parts)
        if total > value_of(config, bound):
            # Blame what somebody wrote: the default is right until another key was changed.
            written = [key for key in parts if config.origins.get(key, "default") != "default"]
            _refuse(config, (written or [bound])[0], f"{' + '.join(parts)} must be at most {bound}, else {why}", bound)
    _check_templates(config)
    _check_tcp(config)
    _check_guard(config)
    if config.policy.default not in config.policy.allowed:
        pair = ("policy.default", "policy.allowed")
        blamed, other = pair if config.origins.get(pair[0], "default") != "default" else reversed(pair)
        _refuse(config, blamed, "policy.default must be one of policy.allowed", other)


def _check_templates(config: Config) -> None:
    if len(config.templates) > TEMPLATES_MAX:
        # Each is a process with libraries of its own, and hello describes them all.
        raise refusal(
            "templates",
            tuple(config.templates),
            next(origin for key, origin in config.origins.items() if key.startswith("templates.")),
            f"expected at most {TEMPLATES_MAX} further templates",
        )


def _check_tcp(config: Config) -> None:
    if not any(address.startswith("tcp://") for address in config.endpoints):
        return
    for key, what in (
        ("tcp.server_key_file", "the daemon's own keys (warmfork keys server --out DIR)"),
        (
            "tcp.clients_dir",
            "a directory with the public key of each client (warmfork keys client --out DIR --name NAME)",
        ),
    ):
        if not value_of(config, key):
            _refuse(
                config,
                "endpoints",
                f"tcp:// is served only with CURVE keys and a list of clients: set {key} to {what}",
                "endpoints",
            )


def _check_guard(config: Config) -> None:
    guard = config.guard
    if guard.unguarded and config.system:
        _refuse(config, "guard.unguarded", "a daemon that serves every user always guards its jobs", "system")
    for layer in guard.off:
        if layer in guard.required:
            _refuse(config, "guard.off", f"{layer} cannot be required and switched off", "guard.required")
        if layer in ALWAYS_REQUIRED:
            _refuse(
                config,
                "guard.off",
                f"{layer} is never switched off alone; guard.unguarded = true switches the whole guard off",
                "guard.off",
            )


def _refuse(config: Config, key: str, reason: str, other: str) -> None:
    origin = config.origins.get(key, "default")
    other_value = _shown(config, other)
    if key != other:
        reason += f"; {other} is {other_value} (from {config.origins.get(other, 'default')})"
    raise refusal(key, value_of(config, key), origin, reason)


def _shown(config: Config, key: str) -> str:
    value = value_of(config, key)
    return format_size(value) if "bytes" in key else str(value)

"""What values must hold against each other, once each is allowed by itself."""

from __future__ import annotations

from typing import Final

from warmfork_daemon.config.settings import Config, value_of
from warmfork_daemon.config.values import format_size, refusal

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
    if config.policy.default not in config.policy.allowed:
        pair = ("policy.default", "policy.allowed")
        blamed, other = pair if config.origins.get(pair[0], "default") != "default" else reversed(pair)
        _refuse(config, blamed, "policy.default must be one of policy.allowed", other)


def _refuse(config: Config, key: str, reason: str, other: str) -> None:
    origin = config.origins.get(key, "default")
    other_value = _shown(config, other)
    if key != other:
        reason += f"; {other} is {other_value} (from {config.origins.get(other, 'default')})"
    raise refusal(key, value_of(config, key), origin, reason)


def _shown(config: Config, key: str) -> str:
    value = value_of(config, key)
    return format_size(value) if "bytes" in key else str(value)

"""The table of settings, written as the records that the daemon reads.

Each field below is declared once, with kind, default, bounds, unit and help; ``SETTINGS`` is that same declaration as
a flat table, and loading, flags, environment names, rendering and the manual are all made from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from warmfork.wire import limits as wire
from warmfork.wire.control import LAYERS
from warmfork_daemon.config.declare import Setting
from warmfork_daemon.config.declare import setting as _setting
from warmfork_daemon.config.pooling import PoolSettings
from warmfork_daemon.config.waiting import ClientSettings, QueueSettings, TenantSettings

if TYPE_CHECKING:
    from warmfork_daemon.config.named import NamedTemplateSettings

PolicyName = Literal["strict", "standard", "off"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

_KIB: Final = wire.KIB
_MIB: Final = wire.MIB
_GIB: Final = wire.GIB
_POLICIES: Final = ("strict", "standard", "off")
ALWAYS_REQUIRED: Final = ("seccomp", "landlock")
"""Layers of the kernel guard without which no daemon serves, unless it is unguarded."""
_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})
_NO_TEMPLATES: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one job may use. ``…_max`` beside a plain key is the most that a request may ask for."""

    timeout_s: float = _setting(
        "number",
        120.0,
        "Run time of a job that names none itself.",
        least=0.1,
        most=wire.TIMEOUT_S_MAX,
        unit="s",
    )
    timeout_s_max: float = _setting(
        "number", 600.0, "Longest run time a job may ask for.", least=0.1, most=wire.TIMEOUT_S_MAX, unit="s"
    )
    memory_bytes: int = _setting(
        "size",
        _GIB,
        "Memory above the template's own, for a job that names none itself.",
        least=16 * _MIB,
        most=wire.MEMORY_BYTES_MAX,
    )
    memory_bytes_max: int = _setting(
        "size", 8 * _GIB, "Most memory a job may ask for.", least=16 * _MIB, most=wire.MEMORY_BYTES_MAX
    )
    cpu_factor: float = _setting(
        "number", 2.0, "CPU seconds allowed for each second of the job's timeout.", least=0.1, most=1_024.0
    )
    file_bytes_max: int = _setting("size", 256 * _MIB, "Largest single file a job may write.", least=_KIB, most=1 << 40)
    disk_bytes: int = _setting(
        "size",
        256 * _MIB,
        "All files of a job together; where its directory is a mount of its own.",
        least=_MIB,
        most=1 << 40,
    )
    threads_max: int = _setting(
        "integer", 64, "Threads of a job; where each worker has a user namespace of its own.", least=1, most=4_096
    )
    files_max: int = _setting("integer", 1_024, "Files that are collected from a job.", least=0, most=wire.FILES_MAX)
    open_files_max: int = _setting("integer", 256, "File descriptors a job may have open.", least=32, most=65_536)
    stdout_bytes: int = _setting(
        "size", 256 * _KIB, "Standard output kept: half from its head, half from its tail.", least=_KIB, most=16 * _MIB
    )
    stderr_bytes: int = _setting(
        "size", 256 * _KIB, "Standard error kept: half from its head, half from its tail.", least=_KIB, most=16 * _MIB
    )
    charts_max: int = _setting("integer", 50, "Charts that come back from a job.", least=0, most=wire.CHARTS_MAX)
    chart_bytes_max: int = _setting(
        "size", 16 * _MIB, "Largest single chart that comes back.", least=_KIB, most=wire.PART_BYTES_MAX
    )
    reply_bytes_max: int = _setting(
        "size", 64 * _MIB, "Charts and files of one reply together.", least=_MIB, most=wire.PART_BYTES_MAX
    )
    code_bytes_max: int = _setting("size", _MIB, "Longest source code of a job.", least=_KIB, most=wire.CODE_BYTES_MAX)
    input_bytes_max: int = _setting(
        "size", 64 * _MIB, "Files and variables sent along with a job, together.", least=0, most=wire.PART_BYTES_MAX
    )
    memory_sample_ms: float = _setting(
        "number", 20.0, "Interval at which a busy worker's memory is looked at.", least=1.0, most=10_000.0, unit="ms"
    )


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Which Python-level policies a request may name."""

    default: PolicyName = _setting(  # it makes a dataclasses.field  # noqa: RUF009
        "choice", "strict", "Policy of a job that names none itself.", choices=_POLICIES
    )
    allowed: tuple[PolicyName, ...] = _setting(
        "choice", ("strict", "standard"), "Policies a job may name.", choices=_POLICIES, many=True
    )


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The kernel's guard around every job."""

    required: tuple[str, ...] = _setting(
        "choice",
        (),
        "Layers without which the daemon does not serve; seccomp and landlock always are, unless it is unguarded.",
        choices=LAYERS,
        many=True,
    )
    off: tuple[str, ...] = _setting(
        "choice", (), "Layers that are not used although the machine has them.", choices=LAYERS, many=True
    )
    user: str = _setting("user", "nobody", "User (or uid) that jobs run as when the daemon is started as root.")
    unguarded: bool = _setting(
        "bool", False, "Run jobs without the kernel's guard. For experiments with code of your own; never system-wide."
    )


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """How long things live, and how the daemon stops."""

    forks_max: int = _setting(
        "integer",
        20_000,
        "Forks after which a template is renewed beside the old one, for a new address layout; 0 means never.",
        least=0,
        most=1_000_000_000,
    )
    age_s_max: float = _setting(
        "number", 86_400.0, "Age at which it is renewed; 0 means never.", least=0.0, most=31_536_000.0, unit="s"
    )
    hang_s: float = _setting(
        "number",
        5.0,
        "Time without an answer after which a template is taken to hang; another takes its place.",
        least=0.1,
        most=600.0,
        unit="s",
    )
    drain_s: float = _setting(
        "number",
        10.0,
        "Time that queued and running jobs have to finish after SIGTERM; a second one cuts it short.",
        least=0.0,
        most=3_600.0,
        unit="s",
    )


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """The process that every worker is forked from."""

    python: str = _setting("path", "", "Interpreter of the template; empty means the daemon's own.")
    preload: tuple[str, ...] = _setting("module", (), "Modules to preload in addition to the standard ones.", many=True)
    rehearse: bool = _setting(
        "bool", True, "Draw one figure of each common kind in the template, so that jobs draw faster."
    )
    font_dirs: tuple[str, ...] = _setting("path", (), "Directories with further fonts for matplotlib.", many=True)
    start_timeout_s: float = _setting(
        "number", 60.0, "Time the template has to report that it is ready.", least=1.0, most=3_600.0, unit="s"
    )


@dataclass(frozen=True, slots=True)
class ResultSettings:
    """What leaves the daemon."""

    redact: bool = _setting(
        "bool", False, "Mask secrets in the text of every result; a request can ask for it where this is off."
    )
    recent_jobs: int = _setting(
        "integer",
        20_000,
        "Ended jobs that are known, so that one sent again is not run again.",
        least=0,
        most=1_000_000,
    )
    recent_bytes: int = _setting("size", 64 * _MIB, "Their results that are kept, together.", least=0, most=64 * _GIB)
    recent_s: float = _setting(
        "number", 60.0, "Time for which an ended job is known.", least=0.0, most=86_400.0, unit="s"
    )


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """The keys that tcp:// endpoints need; made by ``warmfork keys``."""

    server_key_file: str = _setting("path", "", "The daemon's own key pair, NAME.key_secret, mode 0600.")
    clients_dir: str = _setting("path", "", "Directory with the public key, NAME.key, of each client that may come in.")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the daemon writes to its log."""

    level: LogLevel = _setting(  # it makes a dataclasses.field  # noqa: RUF009
        "choice", "info", "Least severe message that is logged.", choices=("debug", "info", "warning", "error")
    )
    format: LogFormat = _setting(  # it makes a dataclasses.field  # noqa: RUF009
        "choice", "text", "One event a line, as key=value or as a JSON object.", choices=("text", "json")
    )
    code: bool = _setting("bool", False, "Log the source code of every job; it may hold whatever users paste.")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service manager offers."""

    job_cgroups: bool = _setting(
        "bool", True, "Give each job a cgroup v2 of its own where the service manager delegates one."
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where Prometheus finds the daemon's numbers; nowhere unless asked for."""

    socket: str = _setting("path", "", "Unix socket that serves GET /metrics; empty: none.")
    socket_group: str = _setting("group", "", "Group that this socket is given to, mode 0660; empty: 0600.")
    listen: str = _setting(
        "loopback", "", "Address that serves it over HTTP to whoever is on this machine; empty: none."
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration of one daemon.

    Attributes:
        pool, queue, limits, policy, guard, template, results, tcp, log, service, metrics: the sections.
        templates: further templates by name; from the file or the program alone.
        origins: where each key's value came from: ``default``, ``file:PATH``, ``env:NAME``, ``flag:--name`` or
            ``override``. No part of equality.
    """

    system: bool = _setting("bool", False, "Serve every user of the machine from /run/warmfork.")
    runtime_dir: str = _setting("path", "", "Directory of socket, lock and key; empty means the user's (or /run).")
    endpoints: tuple[str, ...] = _setting(
        "endpoint", (), "Further addresses to listen on; tcp:// needs the keys below [tcp].", many=True
    )
    key_file: str = _setting("path", "", "File with the signing key; empty means beside the socket.")
    socket_group: str = _setting(
        "group",
        "",
        "Group that the socket is given to, mode 0660; empty: 0600, and system-wide the daemon's own group.",
    )
    pool: PoolSettings = PoolSettings()  # frozen, as below  # noqa: RUF009
    queue: QueueSettings = QueueSettings()  # frozen, as below  # noqa: RUF009
    tenants: TenantSettings = TenantSettings()  # frozen, as below  # noqa: RUF009
    clients: ClientSettings = ClientSettings()  # frozen, as below  # noqa: RUF009
    limits: LimitSettings = LimitSettings()
    policy: PolicySettings = PolicySettings()
    guard: GuardSettings = GuardSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    template: TemplateSettings = TemplateSettings()
    results: ResultSettings = ResultSettings()
    tcp: TcpSettings = TcpSettings()
    log: LogSettings = LogSettings()
    service: ServiceSettings = ServiceSettings()
    metrics: MetricsSettings = MetricsSettings()
    templates: Mapping[str, NamedTemplateSettings] = dataclasses.field(default_factory=lambda: _NO_TEMPLATES)
    origins: Mapping[str, str] = dataclasses.field(default_factory=lambda: _NOWHERE, compare=False, repr=False)


SECTIONS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "pool": PoolSettings,
        "queue": QueueSettings,
        "tenants": TenantSettings,
        "clients": ClientSettings,
        "limits": LimitSettings,
        "policy": PolicySettings,
        "guard": GuardSettings,
        "lifecycle": LifecycleSettings,
        "template": TemplateSettings,
        "results": ResultSettings,
        "tcp": TcpSettings,
        "log": LogSettings,
        "service": ServiceSettings,
        "metrics": MetricsSettings,
    }
)


def _rows(record: type[Any], prefix: str) -> list[Setting]:
    fields = [field for field in dataclasses.fields(record) if "setting" in field.metadata]
    return [dataclasses.replace(field.metadata["setting"], key=prefix + field.name) for field in fields]


SETTINGS: Final[tuple[Setting, ...]] = (
    *_rows(Config, ""),
    *(row for name, record in SECTIONS.items() for row in _rows(record, f"{name}.")),
)
BY_KEY: Final[Mapping[str, Setting]] = MappingProxyType({row.key: row for row in SETTINGS})
BY_ENVIRONMENT_NAME: Final[Mapping[str, Setting]] = MappingProxyType({row.environment_name: row for row in SETTINGS})


def value_of(config: Config, key: str) -> Any:
    """The value that ``config`` holds for a dotted ``key``. Raises AttributeError or KeyError for an unknown one."""
    section, dot, name = key.partition(".")
    if section == "templates":
        template, _, name = name.partition(".")
        return getattr(config.templates[template], name)
    return getattr(getattr(config, section), name) if dot else getattr(config, section)


assert len({row.environment_name for row in SETTINGS}) == len({row.flag for row in SETTINGS}) == len(SETTINGS)
assert all(row.minimum is None or row.maximum is None or row.minimum <= row.maximum for row in SETTINGS)
assert set(SECTIONS) | {"origins", "templates"} | {row.key for row in SETTINGS if "." not in row.key} == {
    field.name for field in dataclasses.fields(Config)
}

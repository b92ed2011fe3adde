"""What daemon and template say to each other on the control socket (SOCK_SEQPACKET, one record a packet).

Daemon to template: ``Start`` once, then ``Fork`` (with the worker's channel, stdout and stderr as passed file
descriptors) and ``Release``. Template to daemon: ``Ready`` once, then ``Forked`` (with a pidfd and a descriptor of the
working directory), ``ForkFailed`` and ``Exited``. The end of the socket tells the template to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.wire import codec, limits
from warmfork.wire.fields import Fields
from warmfork.wire.messages import decode_template, encode_template
from warmfork.wire.records import TemplateInfo

PACKET_BYTES_MAX: Final = 128 * limits.KIB
FDS_MAX: Final = 3
_PID_MAX: Final = 1 << 31
_WORKER_ID_MAX: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Start:
    """How the template is to be.

    Attributes:
        name: what requests call it.
        preload: modules to import besides the standard ones.
        rehearse: draw each common figure kind once before forking.
        font_dirs: where an operator's fonts may be.
        slots_dir: directory in which each worker gets its private one.
        nice: added to the scheduling niceness of template and workers.
        file_bytes_max, open_files_max: limits of each worker.
        memory_bytes_max: address space above the template's own that a worker may have before its job sets less.
        cpu_s_max: CPU seconds, likewise.
    """

    name: str
    preload: tuple[str, ...]
    rehearse: bool
    font_dirs: tuple[str, ...]
    slots_dir: str
    nice: int
    file_bytes_max: int
    open_files_max: int
    memory_bytes_max: int
    cpu_s_max: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Fork one worker for this slot name (one path component, made anew)."""

    worker_id: int
    slot: str


@dataclass(frozen=True, slots=True)
class Release:
    """The worker's slot is no longer needed: wipe it."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The template has preloaded and rehearsed."""

    template: TemplateInfo


@dataclass(frozen=True, slots=True)
class Forked:
    """The worker lives; comes with its pidfd and a descriptor of its working directory."""

    worker_id: int
    pid: int


@dataclass(frozen=True, slots=True)
class ForkFailed:
    """The worker was not forked; its slot is gone."""

    worker_id: int
    message: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The truth about a worker's end.

    Attributes:
        worker_id: of the worker.
        status: as ``os.wait4`` gives it.
        cpu_s: user and system CPU seconds.
    """

    worker_id: int
    status: int
    cpu_s: float


Control = Start | Fork | Release | Ready | Forked | ForkFailed | Exited


def encode(record: Control) -> bytes:
    """One packet. Raises ProtocolError when it would be too long."""
    if isinstance(record, Ready):
        body: dict[str, Any] = {"template": encode_template(record.template)}
    else:
        body = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(record).items()}
    packet = codec.pack({**body, "type": type(record).__name__})
    if len(packet) > PACKET_BYTES_MAX:
        raise ProtocolError(f"a control packet of {len(packet)} bytes where at most {PACKET_BYTES_MAX} are allowed")
    return packet


def decode(packet: bytes) -> Control:
    """The record that this packet is, or ProtocolError."""
    fields = Fields(codec.unpack(packet, bytes_max=PACKET_BYTES_MAX), "control packet")
    return _DECODERS[fields.word("type", tuple(_DECODERS))](fields)


def _worker_id(fields: Fields) -> int:
    return fields.integer("worker_id", 0, _WORKER_ID_MAX)


def _decode_start(fields: Fields) -> Start:
    return Start(
        name=fields.text("name", chars_max=64),
        preload=fields.texts("preload", count_max=1_000, chars_max=200),
        rehearse=fields.flag("rehearse"),
        font_dirs=fields.texts("font_dirs", count_max=100, chars_max=4_096),
        slots_dir=fields.text("slots_dir", chars_max=4_096),
        nice=fields.integer("nice", 0, 19),
        file_bytes_max=fields.integer("file_bytes_max", 0, 1 << 62),
        open_files_max=fields.integer("open_files_max", 0, 1 << 31),
        memory_bytes_max=fields.integer("memory_bytes_max", 0, 1 << 62),
        cpu_s_max=fields.integer("cpu_s_max", 0, 1 << 31),
    )


_DECODERS: Final[Mapping[str, Callable[[Fields], Control]]] = {
    "Start": _decode_start,
    "Fork": lambda fields: Fork(_worker_id(fields), fields.text("slot", chars_max=64)),
    "Release": lambda fields: Release(_worker_id(fields)),
    "Ready": lambda fields: Ready(decode_template(dict(fields.mapping("template")))),
    "Forked": lambda fields: Forked(_worker_id(fields), fields.integer("pid", 1, _PID_MAX)),
    "ForkFailed": lambda fields: ForkFailed(_worker_id(fields), fields.text("message", chars_max=2_000)),
    "Exited": lambda fields: Exited(
        _worker_id(fields), fields.integer("status", 0, _PID_MAX), fields.number("cpu_s", 0, 1e9)
    ),
}

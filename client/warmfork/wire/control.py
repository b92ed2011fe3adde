"""What daemon and template say to each other on the control socket (SOCK_SEQPACKET, one record a packet).

Daemon to template: ``Start`` once, then ``Fork`` (with the worker's channel, stdout and stderr as passed file
descriptors) and ``Release``. Template to daemon: ``Ready`` once, then ``Forked`` (with a pidfd and a descriptor of the
working directory), ``ForkFailed`` and ``Exited``, and once between those ``Settling`` and ``Settled``; or, in place of ``Ready``,
``Threaded``, after which it leaves. The end of the socket tells the template to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from warmfork.errors import ProtocolError
from warmfork.wire import codec, limits
from warmfork.wire.fields import checked_texts, flag, integer, items, mapping, read, text, word
from warmfork.wire.records import TemplateInfo
from warmfork.wire.templates import decode_template, encode_template

LAYERS: Final = ("seccomp", "landlock", "namespaces", "threads", "uid")
"""Of the kernel guard: system calls; files, TCP, signals; own root, pids and network; a thread limit a job; not root."""
PACKET_BYTES_MAX: Final = 120 * limits.KIB
"""Less than what malloc(3) maps by itself, and unmaps again, each time that a packet is read."""
_TOLD_CHARS_MAX: Final = 400
FDS_MAX: Final = 3
BASES: Final = ("science", "none", "light")
_PID_MAX: Final = 1 << 31
_WORKER_ID_MAX: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Start:
    """How the template is to be.

    Attributes:
        name: what requests call it.
        base: ``science``: first the libraries of charts and tables; ``none``: the standard library's modules alone;
            ``light``: the standard library's, and everything that ``science`` has as soon as a job needs any of it.
        preload: modules to import besides those.
        left_out: modules that are not to be imported although they are listed: they start threads.
        rehearse: draw each common figure kind once, in the pauses between orders.
        heap_memfd: move the heap into a memfd when all is loaded, where that can be done.
        joined_mappings: map a library's code and constants as one.
        immortal_objects: let what the template holds be counted no more, where its Python can.
        fresh_memory: have workers allocate where nothing of the template lies.
        native_steps: have native code fork workers and make their system calls, where it was built.
        hot_pages: find out what jobs and drawing write to, and have workers copy that in bulk.
        chart_shortcuts: let matplotlib lay out each text once a pass, and write our PNGs in our own way.
        font_dirs: where an operator's fonts may be.
        slots_dir: directory in which each worker gets its private one.
        nice: added to the scheduling niceness of template and workers.
        file_bytes_max, open_files_max: limits of each worker.
        memory_bytes_max: address space above the template's own that a worker may have before its job sets less.
        cpu_s_max: CPU seconds, likewise.
        disk_bytes_max, job_files_max: bytes and inodes of a worker's slot, where it is a mount of its own.
        threads_max: of a worker.
        worker_uid, worker_gid: whom a template that is started as root becomes.
        unguarded: apply no layer of the kernel guard but rlimits.
        layers_off: names of ``LAYERS`` that are not to be used.
    """

    name: str
    base: str
    preload: tuple[str, ...]
    left_out: tuple[str, ...]
    rehearse: bool
    heap_memfd: bool
    joined_mappings: bool
    immortal_objects: bool
    fresh_memory: bool
    native_steps: bool
    hot_pages: bool
    chart_shortcuts: bool
    font_dirs: tuple[str, ...]
    slots_dir: str
    nice: int
    file_bytes_max: int
    open_files_max: int
    memory_bytes_max: int
    cpu_s_max: int
    disk_bytes_max: int
    job_files_max: int
    threads_max: int
    worker_uid: int
    worker_gid: int
    unguarded: bool
    layers_off: tuple[str, ...]


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
class Layer:
    """One layer of the kernel guard, as the template found it.

    Attributes:
        name: of ``LAYERS``.
        active: every worker gets it.
        detail: what it covers here, or why it is not active.
    """

    name: str
    active: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The template has preloaded and can fork.

    Attributes:
        template: what requests are told about it.
        pid: of the process that forks, as the daemon sees it (in a pid namespace it is a child of the one started).
        layers: of the kernel guard.
    """

    template: TemplateInfo
    pid: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Settling:
    """The template obeys nothing until it sends something again, a second for each GB that was preloaded."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that a template did, when it settled, to make later workers cheaper.

    Attributes:
        name: one of ``MEASURES``.
        amount: bytes of the heap in a memfd, how many mappings fewer, objects that are counted no more, bytes of free memory
            used up, bytes of pages that workers are known to write to; 0: not done.
        detail: so much, or why not.
    """

    name: str
    amount: int
    detail: str


MEASURES: Final = ("heap", "joined", "immortal", "fresh", "pages")


@dataclass(frozen=True, slots=True)
class Settled:
    """The template will not change any more: it has rehearsed, and workers that it forks from now on start warm.

    Attributes:
        failed: kinds of figures that could not be rehearsed.
        measures: that it took.
    """

    failed: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()

    def measure(self, name: str) -> Measure:
        """The one of this name; one without an amount and a detail where there is none."""
        return next((measure for measure in self.measures if measure.name == name), Measure(name, 0, ""))


@dataclass(frozen=True, slots=True)
class Threaded:
    """Importing this module of the preload left threads behind. They cannot be undone, so the template leaves now.

    Attributes:
        module: as it stands in the list.
        threads: how many it started.
    """

    module: str
    threads: int


@dataclass(frozen=True, slots=True)
class Forked:
    """The worker lives; comes with its pidfd and a descriptor of its working directory.

    Attributes:
        worker_id: of the worker.
        pid: as the template sees it.
        heap_bytes: of the template's heap that lie in a memfd, so that what the worker only reads of it is shared memory.
    """

    worker_id: int
    pid: int
    heap_bytes: int = 0


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


Control = Start | Fork | Release | Ready | Settling | Settled | Threaded | Forked | ForkFailed | Exited


# The four that every job has: lists, without the names of fields, and read with few functions. Each function that the
# template runs between two forks costs it copies of the pages that it and its worker share.
_SHORT: Final[dict[str, tuple[Callable[..., Control], list[type], tuple[str, ...]]]] = {
    "Fork": (Fork, [int, str], ("worker_id", "slot")),
    "Release": (Release, [int], ("worker_id",)),
    "Forked": (Forked, [int, int, int], ("worker_id", "pid", "heap_bytes")),
    "Exited": (Exited, [int, int, float], ("worker_id", "status", "cpu_s")),
}
_SHORT_NUMBER_MAX: Final = 1 << 53
_SHORT_CHARS_MAX: Final = 64
_WHERE: Final = "control packet"
_START: Final = (
    text("name", chars_max=64),
    word("base", BASES),
    items("preload", count_max=1_000),
    items("left_out", count_max=1_000),
    flag("rehearse"),
    flag("heap_memfd"),
    flag("joined_mappings"),
    flag("immortal_objects"),
    flag("fresh_memory"),
    flag("native_steps"),
    flag("hot_pages"),
    flag("chart_shortcuts"),
    items("font_dirs", count_max=100),
    text("slots_dir", chars_max=4_096),
    integer("nice", 0, 19),
    integer("file_bytes_max", 0, 1 << 62),
    integer("open_files_max", 0, 1 << 31),
    integer("memory_bytes_max", 0, 1 << 62),
    integer("cpu_s_max", 0, 1 << 31),
    integer("disk_bytes_max", 0, 1 << 62),
    integer("job_files_max", 0, 1 << 31),
    integer("threads_max", 1, 1 << 22),
    integer("worker_uid", 0, 1 << 32),
    integer("worker_gid", 0, 1 << 32),
    flag("unguarded"),
    items("layers_off", count_max=len(LAYERS)),
)
_START_NAMES: Final = tuple(field[0] for field in _START)
_START_TEXTS: Final = ("preload", "left_out", "font_dirs", "layers_off")
_READY: Final = (mapping("template"), integer("pid", 1, _PID_MAX), items("layers", count_max=len(LAYERS)))
_LAYER: Final = (word("name", LAYERS), flag("active"), text("detail", chars_max=2_000))
_SETTLED: Final = (items("failed", count_max=100), items("measures", count_max=len(MEASURES)))
_MEASURE: Final = (word("name", MEASURES), integer("amount", 0, 1 << 62), text("detail", chars_max=2_000))
_THREADED: Final = (text("module", chars_max=200), integer("threads", 1, _PID_MAX))
_FORK_FAILED: Final = (integer("worker_id", 0, _WORKER_ID_MAX), text("message", chars_max=2_000))
_LIST: Final = range(0x90, 0xA0)
"""First byte of a list of fewer than 16 items (the msgpack specification's fixarray)."""


def encode(record: Control) -> bytes:
    """One packet. Raises ProtocolError when it would be too long."""
    name = type(record).__name__
    if name in _SHORT:
        return bytes(codec.Packer().pack([name, *[getattr(record, field) for field in _SHORT[name][2]]]))
    if isinstance(record, Ready):
        layers = [asdict(layer) for layer in record.layers]
        body: dict[str, Any] = {"template": encode_template(record.template), "pid": record.pid, "layers": layers}
    else:
        body = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(record).items()}
    packet = codec.pack({**body, "type": name})
    if len(packet) > PACKET_BYTES_MAX:
        raise ProtocolError(f"a control packet of {len(packet)} bytes where at most {PACKET_BYTES_MAX} are allowed")
    return packet


def decode(packet: bytes) -> Control:
    """The record that this packet is, or ProtocolError."""
    if packet and packet[0] in _LIST:
        return _decode_short(packet)
    body = codec.unpack(packet, bytes_max=PACKET_BYTES_MAX)
    return _DECODERS[read(_WHERE, body, (word("type", _DECODERS),))[0]](body)


def _decode_short(packet: bytes) -> Control:
    try:
        name, *values = codec.unpack_believed(packet)
        make, types, _ = _SHORT[name]
    except Exception as problem:  # msgpack raises nearly anything for malformed data
        raise ProtocolError(f"not a control packet: {type(problem).__name__}: {problem}"[:_TOLD_CHARS_MAX]) from None
    if list(map(type, values)) != types:
        raise ProtocolError(f"control packet {name}: its fields are not {types}")
    for value in values:
        if len(value) > _SHORT_CHARS_MAX if type(value) is str else not 0 <= value <= _SHORT_NUMBER_MAX:
            raise ProtocolError(f"control packet {name}: a field is out of bounds")
    return make(*values)


def _decode_start(body: Any) -> Start:
    values = dict(zip(_START_NAMES, read(_WHERE, body, _START), strict=True))
    for name in _START_TEXTS:
        values[name] = checked_texts(_WHERE, name, values[name], chars_max=4_096)
    return Start(**values)


def _decode_ready(body: Any) -> Ready:
    template, pid, layers = read(_WHERE, body, _READY)
    return Ready(decode_template(template), pid, tuple(Layer(*read("layer", entry, _LAYER)) for entry in layers))


def _decode_settled(body: Any) -> Settled:
    failed, measures = read(_WHERE, body, _SETTLED)
    return Settled(
        checked_texts(_WHERE, "failed", failed, chars_max=200),
        tuple(Measure(*read("measure", entry, _MEASURE)) for entry in measures),
    )


_DECODERS: Final[Mapping[str, Callable[[Any], Control]]] = {
    "Start": _decode_start,
    "Ready": _decode_ready,
    "Settling": lambda _: Settling(),
    "Settled": _decode_settled,
    "Threaded": lambda body: Threaded(*read(_WHERE, body, _THREADED)),
    "ForkFailed": lambda body: ForkFailed(*read(_WHERE, body, _FORK_FAILED)),
}

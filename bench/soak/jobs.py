"""The jobs of the soak: what each kind runs, and whether an answer is the one that it must get.

Each prints its mark before anything else, and wherever it gives something back, its mark is in there too.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from warmfork.results import Result, Verdict

PATIENT_S: Final = 60.0
"""Timeout of jobs that must not run into it, however busy the machine is."""
HANG_S: Final = 0.5
CANCEL_AFTER_S: Final = 0.2

_INPUT_BYTES: Final = 2 << 20
_RESULT_BYTES: Final = 3 << 20
_FLOOD_LINES: Final = 60_000
_FORKS: Final = 50
_THREADS: Final = 200
_FILES: Final = 12
_DISK_BYTES: Final = 4 << 20

SETTINGS: Final[Mapping[str, Any]] = {"limits.file_bytes_max": _DISK_BYTES, "limits.disk_bytes": 2 * _DISK_BYTES}
"""Of the daemon: what the kind ``filling`` runs into."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job.

    Attributes:
        verdict: how it must end.
        cards: how many of it are in a deck.
        body: code after the print of the mark, which it has as ``mark``.
        policy: that it runs under; ``off`` where the kernel alone must refuse.
        arguments: further ones for ``execute``.
        is_whole: whether a result with the right verdict has what the job gave; gets mark and result.
    """

    verdict: Verdict
    cards: int
    body: str
    policy: str = "standard"
    arguments: Mapping[str, Any] | None = None
    is_whole: Callable[[str, Result], bool] = lambda mark, result: result.stdout == f"{mark}\n"


def blob_of(mark: str) -> bytes:
    """The input of a job that gets much: bytes that only this mark gives."""
    return random.Random(mark).randbytes(_INPUT_BYTES)


def _has_chart(mark: str, result: Result) -> bool:
    return [chart.title for chart in result.charts] == [mark] and result.charts[0].data[:4] == b"\x89PNG"


def _has_error(mark: str, result: Result) -> bool:
    error = result.error
    return result.stdout == f"{mark}\n" and error is not None and (error.type, error.message) == ("ValueError", mark)


def _has_flood(mark: str, result: Result) -> bool:
    written = (_FLOOD_LINES + 1) * (len(mark) + 1)
    dropped = result.dropped.stdout_bytes
    return dropped > 0 and len(result.stdout) - len(f"\n... [{dropped} bytes dropped] ...\n") + dropped == written


def _has_files(mark: str, result: Result) -> bool:
    return dict(result.files) == {f"sub/{n}.txt": f"{mark}/{n}".encode() * 1000 for n in range(_FILES)}


def _has_big_file(mark: str, result: Result) -> bool:
    return dict(result.files) == {"big": (mark.encode() * (_RESULT_BYTES // len(mark) + 1))[:_RESULT_BYTES]}


def _may_have_been_early(mark: str, result: Result) -> bool:
    """Of jobs that are ended from outside: a busy machine may not have let it print."""
    return result.stdout in ("", f"{mark}\n")


_THREAD_BOMB: Final = f"""
import threading
stay, many = threading.Event(), []
try:
    for _ in range({_THREADS}):
        many.append(threading.Thread(target=stay.wait))
        many[-1].start()
except RuntimeError:
    many.pop()
stay.set()
for thread in many:
    thread.join()
assert many
"""
_FORK_BOMB: Final = f"""
import os
for _ in range({_FORKS}):
    try:
        child = os.fork()
    except OSError:
        continue
    while True:
        pass
"""
_HANGING: Final = {"timeout_s": HANG_S}

KINDS: Final[Mapping[str, Kind]] = {
    "good": Kind("ok", 24, "", policy="strict"),
    "chart": Kind("ok", 5, "plt.plot([1, 2, 3]); plt.title(mark)", policy="strict", is_whole=_has_chart),
    "failing": Kind("error", 8, "raise ValueError(mark)", policy="strict", is_whole=_has_error),
    "sleeping": Kind("timeout", 4, "import time\ntime.sleep(60)", arguments=_HANGING, is_whole=_may_have_been_early),
    "spinning": Kind("timeout", 1, "while True: pass", arguments=_HANGING, is_whole=_may_have_been_early),
    "cancelled": Kind("cancelled", 4, "import time\ntime.sleep(60)", is_whole=_may_have_been_early),
    "bombing": Kind(
        "memory_limit",
        2,
        "keep = []\nwhile True: keep.append(bytearray(4 << 20))",
        arguments={"memory_bytes": 64 << 20},
        is_whole=_may_have_been_early,
    ),
    "flooding": Kind("ok", 2, f"for _ in range({_FLOOD_LINES}): print(mark)", is_whole=_has_flood),
    "writing": Kind(
        "ok",
        4,
        f"os.mkdir('sub')\nfor n in range({_FILES}): open(f'sub/{{n}}.txt', 'w').write(f'{{mark}}/{{n}}' * 1000)",
        is_whole=_has_files,
    ),
    "filling": Kind("disk_limit", 1, f"with open('fill', 'wb') as fill: fill.write(bytes({_DISK_BYTES + 1}))"),
    "forking": Kind("ok", 2, _FORK_BOMB, policy="off"),
    "threading": Kind("ok", 1, _THREAD_BOMB),
    "dying": Kind("crashed", 2, "os._exit(0)"),
    "segfault": Kind("crashed", 1, "import ctypes\nctypes.string_at(0)", policy="off"),
    "big input": Kind(
        "ok",
        2,
        "import hashlib\nassert hashlib.sha256(open('blob', 'rb').read()).hexdigest() == digest",
    ),
    "big result": Kind(
        "ok",
        1,
        f"open('big', 'wb').write((mark.encode() * ({_RESULT_BYTES} // len(mark) + 1))[:{_RESULT_BYTES}])",
        is_whole=_has_big_file,
    ),
}


def deck(draw: random.Random) -> list[str]:
    """All kinds as often as they have cards, shuffled: each stretch of the run then has the same mix."""
    cards = [name for name, kind in KINDS.items() for _ in range(kind.cards)]
    draw.shuffle(cards)
    return cards


def arguments_of(name: str, mark: str) -> dict[str, Any]:
    """For ``execute``."""
    kind = KINDS[name]
    arguments: dict[str, Any] = {
        "code": f"mark = {mark!r}\nprint(mark, flush=True)\n{kind.body}",
        "policy": kind.policy,
        "timeout_s": PATIENT_S,
        "priority": "batch",  # the probe goes first: it is there for what the daemon takes, not for the queue
        **(kind.arguments or {}),
    }
    if name == "big input":
        blob = blob_of(mark)
        arguments |= {"files": {"blob": blob}, "variables": {"digest": hashlib.sha256(blob).hexdigest()}}
    return arguments


def what_is_wrong(name: str, mark: str, result: Result) -> str:
    """Empty for the answer that this job must get; else a sentence."""
    kind = KINDS[name]
    if result.verdict != kind.verdict:
        return f"{result.verdict} instead of {kind.verdict}: {result.error}; stderr {result.stderr[-300:]!r}"
    if not kind.is_whole(mark, result):
        return f"not whole, or not its own: stdout {result.stdout[:200]!r}, files {list(result.files)}, {result.error}"
    return ""

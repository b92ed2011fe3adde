"""``python -m tests.faults.broken HOW serve …``: the daemon with one promise broken on purpose, to see an invariant fire."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from warmfork.cli import main
from warmfork.wire.messages import decode_reply
from warmfork.wire.replies import ResultReply, StreamText
from warmfork_daemon import frontend, replies, runner, verdicts

_EVERY: Final = 3
_SPARED: Final = 6  # the probes of each template, and the job that is run before anything is done
_number = itertools.count(1)


def _is_due() -> bool:
    number = next(_number)
    return number > _SPARED and number % _EVERY == 0


def _is_result(frames: Any) -> bool:
    return isinstance(decode_reply([bytes(frame) for frame in frames]), ResultReply)


def _send_otherwise(times: int) -> None:
    """Send every third result this many times."""
    send = frontend.Frontend.send

    def otherwise(self: Any, peer: Any, frames: Any, instead: Any = None) -> bool:
        if not _is_result(frames) or not _is_due():
            return send(self, peer, frames, instead)
        for _ in range(times):
            send(self, peer, frames, instead)
        return True

    frontend.Frontend.send = otherwise  # type: ignore[method-assign]  # this module is there to break it


def _with_each_result(change: Callable[[ResultReply], ResultReply]) -> None:
    compose = replies.compose_result

    def changed(*arguments: Any, **named: Any) -> ResultReply:
        return change(compose(*arguments, **named))

    vars(runner)["compose_result"] = changed


def _mix_up() -> None:
    kept: list[StreamText] = [StreamText()]

    def foreign(reply: ResultReply) -> ResultReply:
        before, kept[0] = kept[0], reply.stdout
        return structs.replace(reply, stdout=before) if _is_due() else reply

    _with_each_result(foreign)


def _leave(make: Callable[[], object]) -> None:
    left: list[object] = []

    def leaving(reply: ResultReply) -> ResultReply:
        if _is_due():
            left.append(make())
        return reply

    _with_each_result(leaving)


def _lie() -> None:
    judge = verdicts.judge_template_loss
    verdicts.judge_template_loss = lambda: replace(judge(), retry_safe=True)


BREAKS: Final[dict[str, Callable[[], None]]] = {
    "drop": lambda: _send_otherwise(0),
    "twice": lambda: _send_otherwise(2),
    "foreign": _mix_up,
    "descriptor": lambda: _leave(lambda: os.open(os.devnull, os.O_RDONLY)),
    "process": lambda: _leave(lambda: subprocess.Popen(["sleep", "60"])),
    "memory": lambda: _leave(lambda: bytearray(os.urandom(1 << 10) * (32 << 10))),
    "file": lambda: _leave(lambda: tempfile.mkstemp()),
    "crash": lambda: _leave(lambda: os._exit(3)),
    "defect": lambda: _leave(lambda: 1 // 0),
    "lie": _lie,
}
"""What can be broken."""


if __name__ == "__main__":
    BREAKS[sys.argv.pop(1)]()
    sys.exit(main())

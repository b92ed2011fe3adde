"""``python -m tests.as_failing ARGUMENTS…``: ``python -m warmfork ARGUMENTS…`` whose daemon fails where a job's code says so.

``#COMPOSE``: putting the result together; ``#ENCODE``: writing the order down; ``#SEND``: sending it, half of it has gone.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from warmfork.cli import main
from warmfork.wire import jobs
from warmfork_daemon import runner
from warmfork_daemon.worker import Worker


def _failing(original: Callable[..., Any], mark: bytes, code_of: Callable[..., Any]) -> Callable[..., Any]:
    def fail_or_call(*args: Any, **named: Any) -> Any:
        if mark in bytes(code_of(*args)):
            raise MemoryError
        return original(*args, **named)

    return fail_or_call


def _flush_half(original: Callable[[Worker], bool]) -> Callable[[Worker], bool]:
    def flush(worker: Worker) -> bool:
        if any(b"#SEND" in piece.tobytes() for piece in worker.unsent):
            os.write(worker.channel.fileno(), worker.unsent[0])
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return original(worker)

    return flush


if __name__ == "__main__":
    runner.compose_result = _failing(  # type: ignore[attr-defined]  # re-exported by no module on purpose
        runner.compose_result,  # type: ignore[attr-defined]
        b"#COMPOSE",
        lambda worker, job, *_: job.request.code,
    )
    jobs.encode_order = _failing(jobs.encode_order, b"#ENCODE", lambda order, *_: order.code)
    Worker.flush = _flush_half(Worker.flush)  # type: ignore[method-assign, assignment]
    sys.exit(main(sys.argv[1:]))

"""Secrets out of a reply's text before it leaves the daemon.

The rules are ``warmfork.redaction``'s and linear; they run on the event loop, so what they are given is bounded here:
their worst case is 0.25 s for a MiB (``tests/client/test_redaction.py`` has the texts), an ordinary one is 40 ms.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from msgspec import structs

from warmfork.redaction import redact, redact_cut
from warmfork.results import ErrorInfo
from warmfork.wire import limits
from warmfork.wire.replies import ResultReply, StreamText

STREAM_BYTES_MAX: Final = 256 * limits.KIB
"""Most of a stream that is redacted; of a longer one the middle is dropped, and counted."""

ERROR_CHARS_MAX: Final = 64 * limits.KIB
TYPE_CHARS_MAX: Final = 500
_CUT_BY_WORKER: Final = re.compile(r"(\n\.\.\. \[\d+ characters dropped\] \.\.\.\n)")


def redacted(reply: ResultReply) -> ResultReply:
    """The reply with every text that the job had a hand in redacted: streams, error, titles of charts."""
    stdout, stderr = redact_stream(reply.stdout), redact_stream(reply.stderr)
    return structs.replace(
        reply,
        stdout=stdout,
        stderr=stderr,
        error=None if reply.error is None else redact_error(reply.error),
        charts=tuple(dataclasses.replace(chart, title=_redact_title(chart.title)) for chart in reply.charts),
        dropped=structs.replace(reply.dropped, stdout_bytes=stdout.dropped, stderr_bytes=stderr.dropped),
    )


def redact_stream(stream: StreamText) -> StreamText:
    """A stream's kept text, redacted; no part of a secret that lay across a cut comes through."""
    stream = _bounded(stream)
    head, tail = stream.head.decode("utf-8", "replace"), stream.tail.decode("utf-8", "replace")
    head, tail = redact_cut(head, tail, stream.dropped)
    return StreamText(_mask_inner_cuts(head).encode(), _mask_inner_cuts(tail).encode(), stream.dropped)


def redact_error(error: ErrorInfo) -> ErrorInfo:
    """Type, message and traceback redacted, and within the wire's bounds: a mask may be longer than its secret."""
    return dataclasses.replace(
        error,
        type=redact(error.type)[:TYPE_CHARS_MAX],
        message=_mask_inner_cuts(redact(error.message))[:ERROR_CHARS_MAX],
        traceback=_mask_inner_cuts(redact(error.traceback))[:ERROR_CHARS_MAX],
    )


def _redact_title(title: str) -> str:
    # A title of full length may have been cut within a secret.
    whole = redact(title) if len(title) < limits.TITLE_CHARS_MAX else redact_cut(title, "", 1)[0]
    return whole[: limits.TITLE_CHARS_MAX]


def _bounded(stream: StreamText) -> StreamText:
    size = len(stream.head) + len(stream.tail)
    if size <= STREAM_BYTES_MAX:
        return stream
    half = STREAM_BYTES_MAX // 2
    end = stream.tail if stream.dropped else stream.head
    head, tail = stream.head[:half], end[-half:]
    return StreamText(head, tail, stream.dropped + size - len(head) - len(tail))


def _mask_inner_cuts(text: str) -> str:
    """Mask what touches the cuts that the worker made in an error's text; a traceback on stderr has them, too."""
    pieces = _CUT_BY_WORKER.split(text)
    for index in range(1, len(pieces), 2):
        pieces[index - 1] = redact_cut(pieces[index - 1], "", 1)[0]
        pieces[index + 1] = redact_cut("", pieces[index + 1], 1)[1]
    return "".join(pieces)

"""Output to the client while the job still runs.

What is streamed is the head of each stream, which is kept for the result anyway: there is no second buffer, only a place
in it up to which everything was sent. When the client takes nothing more, the place stays where it is and the next look
tries again, so a slow client costs no memory, delays nobody, and loses nothing: the result has all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from warmfork.wire import limits
from warmfork.wire.replies import OutputReply
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import Job
from warmfork_daemon.output import BoundedOutput

_PIECE_BYTES: Final = 64 * limits.KIB

SendOutput = Callable[[Peer, OutputReply], bool]
"""Sends a message at once or says False; it never keeps one."""


class JobStream:
    """The output of one running job on its way to who waits for it.

    Args:
        job: its ``peer`` is looked at each time; whoever takes the job over gets its output from the start.
        outputs: what was read so far, by the stream's name.
        send: of the frontend.
    """

    __slots__ = ("_job", "_outputs", "_peer", "_send", "_sent", "_seq")

    def __init__(self, job: Job, outputs: Mapping[str, BoundedOutput], send: SendOutput) -> None:
        self._job = job
        self._outputs = outputs
        self._send = send
        self._start_for(job.peer)

    def _start_for(self, peer: Peer) -> None:
        self._peer = peer
        self._seq = 0
        self._sent = dict.fromkeys(self._outputs, 0)

    def push(self) -> None:
        """Send what is new, as far as the client takes it."""
        if self._peer is not self._job.peer:
            self._start_for(self._job.peer)
        for name, output in self._outputs.items():
            while data := output.head_from(self._sent[name], _PIECE_BYTES):
                message = OutputReply(self._job.request.id, name, self._seq, self._sent[name], data)
                if not self._send(self._peer, message):
                    return
                self._seq += 1
                self._sent[name] += len(data)

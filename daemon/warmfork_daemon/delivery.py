"""Replies to those who wait for them: sent, counted, remembered, logged."""

from __future__ import annotations

import logging
from functools import partial

from msgspec.structs import replace

from warmfork.errors import ProtocolError
from warmfork.wire.messages import encode_reply
from warmfork.wire.replies import OutputReply, Reply, ResultReply
from warmfork_daemon.answering import frames_of, not_delivered
from warmfork_daemon.frontend import Frontend, Peer
from warmfork_daemon.intake import Intake
from warmfork_daemon.job import Job
from warmfork_daemon.job_log import log_finished
from warmfork_daemon.logs import told
from warmfork_daemon.reactor import monotonic_s
from warmfork_daemon.tally import Tally

log = logging.getLogger("warmfork.delivery")


class Delivery:
    """Sends what the supervisor has decided.

    Args:
        frontend: the way to the clients.
        intake: remembers what was answered.
        counts: of verdicts and of what nobody got.

    Attributes:
        last_result_s: when somebody was last sent a result, by the monotonic clock.
    """

    def __init__(self, frontend: Frontend, intake: Intake, counts: Tally) -> None:
        self._frontend = frontend
        self._intake = intake
        self._counts = counts
        self.last_result_s = 0.0
        frontend.outbox.on_dropped = self._count_dropped

    def result(self, job: Job, reply: ResultReply, *, guarded: bool) -> None:
        """Send the one reply of a job to everybody who asked for it; delivered it is when one of them gets it."""
        if not guarded:
            reply = replace(reply, guarded=False)
        frames = frames_of(reply)
        instead = partial(not_delivered, reply.id, reply.verdict)
        delivered = False
        for peer in job.waiting:
            delivered |= self._frontend.send(peer, frames, instead)
        # Whatever else is to be done can be done while it is on its way.
        self._counts.answer(job, reply)
        self._intake.ended(job, reply, frames)
        self._counts.undelivered += not delivered
        log_finished(job, reply, delivered=delivered)
        if delivered:
            self.last_result_s = monotonic_s()

    def output(self, peer: Peer, message: OutputReply) -> bool:
        """Send output of a running job, now or not at all. False when it did not go."""
        return self._frontend.send_now(peer, encode_reply(message))

    def reply(self, peer: Peer, reply: Reply) -> bool:
        """Send any other reply. False when it did not go."""
        try:
            return self._frontend.send(peer, encode_reply(reply))
        except ProtocolError as problem:  # one answer's loss, never the daemon's
            log.error("reply not written", extra=told(request=reply.id.hex(), problem=problem))
            return False

    def _count_dropped(self) -> None:
        self._counts.undelivered += 1

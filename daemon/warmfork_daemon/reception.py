"""Messages in: read, told apart, handed on, and every refusal answered as the typed error it is."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from warmfork.errors import ProtocolError, RequestRefused
from warmfork.wire.headers import request_id_of
from warmfork.wire.messages import decode_request
from warmfork.wire.replies import CancelReply, ErrorReply, HelloReply, Reply, StatusReply
from warmfork.wire.requests import CancelRequest, ExecuteRequest, HelloRequest, ReloadRequest
from warmfork_daemon.answering import error_for
from warmfork_daemon.frontend import Peer
from warmfork_daemon.job import JobKey
from warmfork_daemon.logs import told
from warmfork_daemon.reloading import Reloaded

log = logging.getLogger("warmfork.reception")


@dataclass(frozen=True, slots=True)
class Services:
    """What a request can ask for; each may raise RequestRefused.

    Attributes:
        execute: takes a job; its reply follows by another way.
        cancel: of this owner and job, with what is told of it.
        reload: reads the configuration anew.
        hello: who the daemon is, for this request's id.
        status: how it is.
    """

    execute: Callable[[ExecuteRequest, Peer], None]
    cancel: Callable[[JobKey, str], str]
    reload: Callable[[], Reloaded]
    hello: Callable[[bytes], HelloReply]
    status: Callable[[], Mapping[str, Any]]


class Reception:
    """Takes every message that comes.

    Args:
        services: what can be asked for.
        refused: counts refusals by code.
        send: sends a reply.
    """

    def __init__(self, services: Services, refused: Counter[str], send: Callable[[Peer, Reply], bool]) -> None:
        self._services = services
        self._refused = refused
        self._send = send

    def take(self, peer: Peer, frames: list[memoryview]) -> None:
        """Answer one message, or hand its job on."""
        try:
            request = decode_request(frames)
        except ProtocolError as problem:
            error = error_for(problem, frames)
            self._refused[error.code] += 1
            self._send(peer, error)
            return
        except Exception:  # no memory for it, or a fault of ours; whatever a peer sends, it is not the daemon's end
            log.exception("message not read", extra=told(owner=peer.owner))
            self._refused["internal"] += 1
            message = "The daemon failed at reading this request; its log says more. Nothing was submitted."
            self._send(peer, ErrorReply(request_id_of(frames), "internal", message))
            return
        services = self._services
        try:
            if isinstance(request, ExecuteRequest):
                services.execute(request, peer)
            elif isinstance(request, CancelRequest):
                outcome = services.cancel((peer.owner, request.job_id), " by its client")
                self._send(peer, CancelReply(request.id, outcome))
            elif isinstance(request, ReloadRequest):
                if peer.client or peer.uid not in (0, os.geteuid()):
                    raise RequestRefused("not_allowed", "only the daemon's own user and root may reload it")
                changed = {key: list(names) for key, names in asdict(services.reload()).items()}
                self._send(peer, StatusReply(request.id, changed))
            elif isinstance(request, HelloRequest):
                self._send(peer, services.hello(request.id))
            else:
                self._send(peer, StatusReply(request.id, services.status()))
        except RequestRefused as refusal:
            self._refused[refusal.code] += 1
            self._send(peer, ErrorReply(request.id, refusal.code, str(refusal)))
        except Exception:  # a fault of ours costs this request its answer, not everybody the daemon
            what = "job" if isinstance(request, ExecuteRequest) else "request"
            log.exception("request failed", extra=told(**{what: request.id.hex()}))
            self._refused["internal"] += 1
            message = "The daemon failed at this request; its log says more. Whether a job of it ran is not known."
            self._send(peer, ErrorReply(request.id, "internal", message))

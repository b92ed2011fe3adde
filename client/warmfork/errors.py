"""What can go wrong, named after what became of the job.

    WarmforkError
    ├── DaemonUnreachable       nothing was submitted: no daemon answered. Safe to retry.
    │   └── EmbeddedStartFailed the private daemon did not come up. Nothing was submitted.
    ├── ReplyTimeout            the client stopped waiting; the job was told to cancel. It may have run.
    ├── RequestRefused          the daemon read the request and did not take it: its ``code`` says why. The job did not run.
    ├── SignatureError          a chart came back that the daemon did not sign for this job. Nothing was handed out.
    ├── KeyUnavailable          charts could not be verified here: no readable key. Nothing was submitted.
    ├── ProtocolError           bytes that are not the protocol. From a daemon: its version differs.
    ├── ValueNotCarried         a variable that cannot travel as what it is. Nothing was submitted.
    ├── ConfigError             a setting that is not allowed; names the key, its value and what is allowed.
    ├── AlreadyServing          another daemon holds this runtime directory.
    └── ExtraMissing            the daemon's libraries are not installed; says what to type.

A job that ran and failed is not an exception: its ``Result`` has a verdict that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class WarmforkError(Exception):
    """The root of all errors that this library raises by itself."""


class DaemonUnreachable(WarmforkError):
    """No daemon answered at the address within the time allowed. Nothing was submitted; a retry is safe."""


class EmbeddedStartFailed(DaemonUnreachable):
    """The private daemon of ``embedded()`` ended or stayed silent before it was ready."""


class GuardRefused(EmbeddedStartFailed):
    """The daemon did not start to serve: a layer of the kernel's guard that is required does not hold here.

    Attributes:
        guard: what was found, as in the ``guard`` field of ``status``.
    """

    def __init__(self, message: str, guard: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.guard = guard


class ReplyTimeout(WarmforkError):
    """The client's own wait ran out before a reply came. The daemon was asked to cancel; the job may have run."""


class RequestRefused(WarmforkError):
    """The daemon answered the request with a typed error and did not take it.

    Attributes:
        code: a stable word such as ``"bad_request"``, ``"policy_not_allowed"`` or ``"unsupported_version"``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SignatureError(WarmforkError):
    """A chart's signature does not match its bytes, index and job. The result is withheld as a whole."""


class KeyUnavailable(WarmforkError):
    """The key that verifies charts could not be read; the message names where it was looked for."""


class ProtocolError(WarmforkError, ValueError):
    """Bytes that are not a message of this protocol version, or break one of its limits."""


class ValueNotCarried(WarmforkError, TypeError):
    """A variable of a type that the protocol cannot carry as what it is."""


class ConfigError(WarmforkError, ValueError):
    """A configuration value that is not allowed. The message names key, value and what is allowed."""


class AlreadyServing(WarmforkError):
    """Another daemon holds the lock on this runtime directory."""


class ExtraMissing(WarmforkError, ImportError):
    """A part of warmfork was used whose libraries are not installed."""

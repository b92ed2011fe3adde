"""warmfork: run Python that a language model wrote, and get its answer and its charts back.

    from warmfork import embedded
    with embedded() as client:
        result = client.execute("print(1 + 1)")

This package is the client and the wire. It imports pyzmq, msgpack and msgspec and nothing else beyond the standard library;
the daemon's and the worker's libraries are never needed to import it. Names are loaded on first use, so that the
worker, which shares the wire, never loads ZeroMQ.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from warmfork.aio import AsyncClient
    from warmfork.balanced import AsyncBalancedClient, BalancedClient
    from warmfork.client import Client
    from warmfork.embedding import embedded
    from warmfork.errors import (
        AlreadyServing,
        ConfigError,
        DaemonUnreachable,
        EmbeddedStartFailed,
        ExtraMissing,
        KeyUnavailable,
        ProtocolError,
        ReplyTimeout,
        RequestRefused,
        SignatureError,
        ValueNotCarried,
        WarmforkError,
    )
    from warmfork.results import Chart, Dropped, ErrorInfo, Phases, Result, Usage, Verdict

__version__: Final = "0.1.0"

_HOME_OF: Final = {
    "AsyncBalancedClient": "warmfork.balanced",
    "AsyncClient": "warmfork.aio",
    "BalancedClient": "warmfork.balanced",
    "Client": "warmfork.client",
    "embedded": "warmfork.embedding",
    "Chart": "warmfork.results",
    "Dropped": "warmfork.results",
    "ErrorInfo": "warmfork.results",
    "Phases": "warmfork.results",
    "Result": "warmfork.results",
    "Usage": "warmfork.results",
    "Verdict": "warmfork.results",
}

__all__ = [
    "AlreadyServing",
    "AsyncBalancedClient",
    "AsyncClient",
    "BalancedClient",
    "Chart",
    "Client",
    "ConfigError",
    "DaemonUnreachable",
    "Dropped",
    "EmbeddedStartFailed",
    "ErrorInfo",
    "ExtraMissing",
    "KeyUnavailable",
    "Phases",
    "ProtocolError",
    "ReplyTimeout",
    "RequestRefused",
    "Result",
    "SignatureError",
    "Usage",
    "ValueNotCarried",
    "Verdict",
    "WarmforkError",
    "embedded",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'warmfork' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF.get(name, "warmfork.errors")), name)

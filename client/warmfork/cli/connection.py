"""Flags that say which daemon, and with which keys."""

from __future__ import annotations

import argparse
from typing import Any

from warmfork.cli.sizes import parse_address


def add_connection_flags(parser: argparse.ArgumentParser, *, note: str) -> None:
    """Add ``--address``, with ``note`` in its help, and the flags for keys."""
    parser.add_argument("--address", metavar="ADDRESS", type=parse_address, help=f"of the daemon{note}")
    parser.add_argument("--key-file", metavar="FILE", help="the daemon's key for charts (default: beside its socket)")
    parser.add_argument("--server-key-file", metavar="FILE", help="for tcp://: NAME.key with the daemon's public key")
    parser.add_argument("--client-key-file", metavar="FILE", help="for tcp://: NAME.key_secret with our own keys")


def connection_of(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments for ``Client``, as these flags say."""
    return {
        "address": args.address,
        "key_file": args.key_file,
        "server_key_file": args.server_key_file,
        "client_key_file": args.client_key_file,
    }

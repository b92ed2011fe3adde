"""``warmfork reload``: the running daemon reads its configuration anew."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from warmfork.cli.connection import add_connection_flags, connection_of
from warmfork.cli.terminal import one_line
from warmfork.client import Client

DESCRIPTION: Final = """\
Let the running daemon read its configuration file, variables and flags anew. A wrong value changes nothing and is named. No
queued or running job is dropped: a template that changed comes up beside the old one and then takes its place.
"""
EPILOG: Final = """\
examples:
  warmfork reload
  warmfork reload --address ipc:///run/warmfork/warmfork.sock

exit codes: 0 done, 2 refused (a wrong value, or not your daemon), 69 no daemon answered.
"""

_SAID: Final = {
    "changed": "changed",
    "renewed": "templates renewed",
    "removed": "templates removed",
    "admitted": "clients admitted",
    "shut_out": "clients shut out",
    "needs_restart": "followed only after a restart",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_connection_flags(parser, note=" (default: the first that answers)")


def execute(args: argparse.Namespace) -> int:
    """Ask and print what changed. Raises DaemonUnreachable, RequestRefused."""
    with Client(**connection_of(args)) as client:
        outcome = client.reload()
    lines = [
        f"{said}: {one_line(', '.join(map(str, outcome[key])))}" for key, said in _SAID.items() if outcome.get(key)
    ]
    sys.stdout.write("\n".join(lines or ["nothing changed"]) + "\n")
    return 0

"""``warmfork serve``: the daemon in the foreground."""

from __future__ import annotations

import argparse
from typing import Final

from warmfork.cli.extra import daemon_extra

DESCRIPTION: Final = "Run the daemon in the foreground, until SIGTERM or Ctrl-C."
EPILOG: Final = """\
examples:
  warmfork serve                        for this user, on a socket in the user's runtime directory
  warmfork serve --config my.toml       with settings from a file
  warmfork config --config my.toml      what those settings come to, without serving

Each setting has a flag below; flags win over WARMFORK_… variables, those over the file.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    with daemon_extra():
        from warmfork_daemon.config import add_flags
    add_flags(parser)


def execute(args: argparse.Namespace) -> int:
    """Serve; the exit code of the daemon. Raises ExtraMissing, ConfigError, AlreadyServing."""
    with daemon_extra():
        from warmfork_daemon.config import load_from_arguments
        from warmfork_daemon.main import serve
    return int(serve(load_from_arguments(args), load_config=lambda: load_from_arguments(args)))

"""``warmfork config``: the daemon's effective configuration."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from warmfork.cli.extra import daemon_extra

DESCRIPTION: Final = """\
Print, as TOML, the configuration that 'warmfork serve' with the same flags would use, and where each value is from.
"""
EPILOG: Final = """\
examples:
  warmfork config                       the defaults, with your file and environment laid over them
  warmfork config > warmfork.toml       a file to start from
  warmfork config --config my.toml      check a file; a wrong value is named, with what is allowed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    with daemon_extra():
        from warmfork_daemon.config import add_flags
    add_flags(parser)


def execute(args: argparse.Namespace) -> int:
    """Print the configuration. Raises ExtraMissing, ConfigError."""
    with daemon_extra():
        from warmfork_daemon.config import load_from_arguments, render_toml
    sys.stdout.write(render_toml(load_from_arguments(args)))
    return 0

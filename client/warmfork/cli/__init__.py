"""The command ``warmfork``: run code, run the daemon, look at it.

One module for each subcommand, with ``DESCRIPTION``, ``EPILOG``, ``add_arguments(parser)`` and
``execute(args) -> int``. What goes wrong becomes one line on stderr and an exit code, never a traceback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

import warmfork
from warmfork.cli import exits
from warmfork.cli.terminal import forget_stdout, say
from warmfork.errors import ConfigError, ExtraMissing, RequestRefused, ValueNotCarried, WarmforkError

_SUMMARY_OF: Final = {
    "run": "run a Python file and save the charts it draws",
    "serve": "run the daemon",
    "status": "show how the daemon is",
    "top": "watch the daemon live",
    "bench": "put a short, bounded load on the daemon and write a report",
    "doctor": "show whether jobs are guarded here, layer by layer",
    "reload": "let the daemon read its configuration anew",
    "keys": "make the keys for talking to a daemon over TCP",
    "config": "print the daemon's effective configuration",
    "install-service": "install the daemon as a service of systemd, step by step",
}

_EPILOG: Final = """\
examples:
  warmfork run chart.py                 run a file; its charts are saved here
  echo 'print(1 + 1)' | warmfork run -  run what comes from a pipe
  warmfork serve                        keep a daemon running, so that the next run starts warm
  warmfork status                       how it is
  warmfork doctor                       whether this machine can guard jobs

'warmfork COMMAND --help' tells about one command.

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (``sys.argv[1:]`` if None) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _build_parser(arguments).parse_args(arguments)
        code = int(import_module(_module_of(args.command)).execute(args))
        sys.stdout.flush()
        return code
    except SystemExit as leaving:  # argparse: help, version, usage
        return leaving.code if isinstance(leaving.code, int) else exits.USAGE
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        forget_stdout()
        return exits.BROKEN_PIPE
    except (exits.UsageError, ConfigError, ExtraMissing, RequestRefused, ValueNotCarried) as problem:
        say(str(problem))
        return exits.USAGE
    except WarmforkError as problem:
        say(str(problem))
        return exits.UNAVAILABLE
    except OSError as problem:
        say(f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}")
        return exits.CODE_OF["error"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        say(f"{message} (see '{self.prog} --help')")
        raise SystemExit(exits.USAGE)


def _module_of(command: str) -> str:
    return f"warmfork.cli.{command.replace('-', '_')}"


def _build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="warmfork",
        description="Run Python that a language model wrote in a warm, guarded worker, and get its charts back.",
        epilog=_EPILOG + exits.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"warmfork {warmfork.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, summary in _SUMMARY_OF.items():
        if name != chosen:
            commands.add_parser(name, help=summary)
            continue
        # Only the chosen command is imported: 'run' needs no daemon installed, and 'serve' no client.
        module = import_module(_module_of(name))
        command = commands.add_parser(
            name,
            help=summary,
            allow_abbrev=False,  # a flag added later must not change what a script's shortened one means
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    return parser

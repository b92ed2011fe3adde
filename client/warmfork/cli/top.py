"""``warmfork top``: a live view of a daemon in a terminal."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from warmfork.cli.connection import add_connection_flags, connection_of
from warmfork.cli.keyboard import Keyboard
from warmfork.cli.sizes import parse_seconds
from warmfork.cli.terminal import one_line
from warmfork.cli.top_model import Choice, view_of
from warmfork.cli.top_poll import Polled, Poller
from warmfork.client import Client
from warmfork.errors import ExtraMissing

if TYPE_CHECKING:
    from rich.console import Console

DESCRIPTION: Final = """\
Watch the running daemon: workers and what they run, queue, rates, latency, the last failures. Where the output is no
terminal, print one picture and leave.
"""
EPILOG: Final = """\
examples:
  warmfork top
  warmfork top --address ipc:///run/warmfork/warmfork.sock --interval 0.5
  warmfork top | cat                    one picture, as text

keys: q quits; up and down (or k and j) select a running job, c cancels it after a y. Only jobs of your own user (over TCP: of
your key) can be cancelled; the daemon decides that.

exit codes: 0 you quit, 69 no daemon answered.
"""

_TURN_S: Final = 0.25
_LEAVE_S: Final = 0.5
_WIDTH: Final = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interval", metavar="SECONDS", type=parse_seconds, default=1.0, help="between two looks (default: 1)"
    )
    add_connection_flags(parser, note=", such as ipc:///run/warmfork/warmfork.sock (default: the first that answers)")


def execute(args: argparse.Namespace) -> int:
    """Show until ``q``. Raises ExtraMissing, DaemonUnreachable when no daemon answers at the start."""
    with _top_extra():
        from rich.console import Console

        from warmfork.cli.top_screen import draw
    with Client(**connection_of(args)) as client:
        first = client.status()
        if not sys.stdout.isatty():
            columns = os.environ.get("COLUMNS", "")
            width = int(columns) if columns.isdigit() and int(columns) else _WIDTH
            console = Console(file=sys.stdout, width=width, force_terminal=False, color_system=None)
            with console.capture() as picture:
                console.print(draw(view_of(first), console, live=False))
            sys.stdout.write("\n".join(line.rstrip() for line in picture.get().splitlines()) + "\n")
            return 0
        poller = Poller(client, args.interval, first)
        poller.start()
        try:
            _show(poller, Console(file=sys.stdout))
        except KeyboardInterrupt:
            pass  # as good as q
        finally:
            poller.end(_LEAVE_S)
    return 0


def _show(poller: Poller, console: Console) -> None:
    from rich.live import Live

    from warmfork.cli.top_screen import draw

    choice = Choice()
    with Keyboard(sys.stdin) as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            polled = poller.polled
            assert polled.status is not None
            view = view_of(polled.status)
            choice = choice.still(view.jobs)
            live.update(draw(view, console, choice, _message(polled)), refresh=True)
            for key in keyboard.read(_TURN_S):
                choice, act = choice.press(key, view.jobs)
                if act == "quit":
                    return
                if act == "cancel":
                    poller.cancel(choice.job_id)


def _message(polled: Polled) -> str:
    if polled.problem:
        return one_line(f"no answer, what stands here is old: {polled.problem}")
    return polled.message


@contextlib.contextmanager
def _top_extra() -> Iterator[None]:
    try:
        yield
    except ImportError as problem:
        if (problem.name or "").partition(".")[0] == "warmfork":
            raise
        raise ExtraMissing(f"this needs rich ({problem}); install it with: pip install 'warmfork[top]'") from None

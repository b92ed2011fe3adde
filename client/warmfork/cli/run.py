"""``warmfork run``: one job, its output on our streams, its charts on the disk."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import threading
from pathlib import Path
from typing import Any, Final

from warmfork.cli import exits
from warmfork.cli.connection import add_connection_flags, connection_of
from warmfork.cli.extra import daemon_extra
from warmfork.cli.live import LiveOutput
from warmfork.cli.report import print_json, print_result, print_usage
from warmfork.cli.request import parse_formats, parse_variable, request_of
from warmfork.cli.saving import Saver
from warmfork.cli.sizes import parse_seconds, parse_size
from warmfork.cli.terminal import say, write_job_text
from warmfork.client import Client
from warmfork.embedding import embedded
from warmfork.errors import DaemonUnreachable, ProtocolError, WarmforkError
from warmfork.results import Result, Usage
from warmfork.wire.records import POLICIES, PRIORITIES, TEMPLATE_DEFAULT

DESCRIPTION: Final = """\
Run a Python file in a fresh, guarded process with numpy, pandas, matplotlib and seaborn already imported. What it
prints comes out here; every figure it draws and every image it saves becomes a file. A running daemon is used. Where
none runs, a private one is started for this one job.
"""
EPILOG: Final = (
    """\
examples:
  warmfork run chart.py --out charts --format png,svg
  warmfork run report.py --file sales.csv --var 'year=2024' --var 'title="Sales"'
  warmfork run slow.py --timeout 10 --memory 512M
  echo 'print(1 + 1)' | warmfork run - --json
  warmfork run solve.py --template light

charts: a figure is saved as chart-1.png, chart-2.png …, an image that the code saved under its own base name. A file
that is there already and differs is left alone, and the next free name is used (chart-1-2.png), unless --overwrite is
given.

"""
    + exits.HELP
)
_CANCEL_WAIT_S: Final = 5.0
_ONE_JOB: Final = {"pool.light": "off"}  # of a private daemon: light workers would come when it is over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the Python file, '-' for stdin")
    parser.add_argument("--out", metavar="DIR", default=".", help="where to save charts; made if missing (default: .)")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same name")
    parser.add_argument("--save-files", action="store_true", help="save the other files the code wrote, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the job's output")
    parser.add_argument("--timeout", metavar="SECONDS", type=parse_seconds, help="it may take (default: the daemon's)")
    parser.add_argument("--memory", metavar="SIZE", type=parse_size, help="such as 512M or 1G (default: the daemon's)")
    parser.add_argument(
        "--format",
        metavar="LIST",
        type=parse_formats,
        default=("png",),
        help="of figures: png, svg, pdf (default: png)",
    )
    parser.add_argument(
        "--var", metavar="NAME=JSON", type=parse_variable, action="append", default=[], help="a variable; repeatable"
    )
    parser.add_argument(
        "--file",
        metavar="PATH",
        dest="files",
        action="append",
        default=[],
        help="put this file into the job's directory, under its relative path; repeatable",
    )
    parser.add_argument("--stdin", metavar="FILE", help="what the code reads from its stdin ('-': ours)")
    parser.add_argument("--policy", choices=POLICIES, help="of the Python layer (default: the daemon's)")
    parser.add_argument("--template", metavar="NAME", help="which template of the daemon (default: science)")
    parser.add_argument("--tenant", metavar="NAME", default="", help="on whose behalf: tenants of one user take turns")
    parser.add_argument("--priority", choices=PRIORITIES, default=PRIORITIES[0], help="batch goes after interactive")
    parser.add_argument(
        "--retry-for",
        metavar="SECONDS",
        type=parse_seconds,
        help="try again for so long while the daemon has no room for the job (default: not at all)",
    )
    parser.add_argument("--redact", action="store_true", help="mask secrets in the job's output and error")
    add_connection_flags(parser, note="; no private one is started then")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is done, and what it cost")


def execute(args: argparse.Namespace) -> int:
    """Run the job and tell about it; the exit code of its verdict.

    Raises:
        UsageError: something on the command line cannot be read or written to. Nothing was submitted.
        WarmforkError: as ``Client.execute``.
    """
    request = request_of(args)
    saver = Saver(args.out, overwrite=args.overwrite)
    live = None if args.json else LiveOutput()
    result = _run(args, request, live)
    if live is not None:
        _finish_output(live, saver, result)
    try:
        return _save_and_print(args, saver, result)
    except OSError:  # a full disk must not cost the answer as well
        if live is None:
            write_job_text(result.stdout, sys.stdout)
            write_job_text(result.stderr, sys.stderr)
        raise


def _finish_output(live: LiveOutput, saver: Saver, result: Result) -> None:
    try:
        live.finish(result)
    except OSError:  # whoever stops reading, or a full disk below our output, does not cost the charts
        saver.save_charts(result.charts)
        raise


def _save_and_print(args: argparse.Namespace, saver: Saver, result: Result) -> int:
    chart_paths = saver.save_charts(result.charts)
    chart_files = {chart.file_name for chart in result.charts}
    others = {name: data for name, data in result.files.items() if name not in chart_files}
    file_paths: dict[str, Path] = saver.save_files(others) if args.save_files else {}
    if args.json:
        print_json(result, chart_paths, file_paths)
    else:
        print_result(result, chart_paths, file_paths, others)
    if args.verbose and result.usage != Usage():
        print_usage(result.usage)
    return exits.CODE_OF[result.verdict]


def _run(args: argparse.Namespace, request: dict[str, Any], live: LiveOutput | None) -> Result:
    try:
        return _run_somewhere(args, request, live)
    except ProtocolError:
        raise
    except (ValueError, TypeError) as problem:
        # An argument that cannot be sent, such as a timeout over the wire's bounds: it was typed.
        raise exits.UsageError(str(problem)) from None


def _run_somewhere(args: argparse.Namespace, request: dict[str, Any], live: LiveOutput | None) -> Result:
    try:
        with Client(**connection_of(args)) as client:
            return _execute_interruptibly(client, request, live)
    except DaemonUnreachable as problem:
        if args.address:
            raise
        if args.verbose:
            say(f"{problem}; starting a private daemon for this job")
    with embedded(policy="strict", workers=1, settings=_settings_for(args.template)) as client:
        return _execute_interruptibly(client, request, live)


def _settings_for(template: str | None) -> dict[str, Any]:
    """What a private daemon is told so that it has this template: by itself it reads no file. Raises ConfigError."""
    if template is None or template == TEMPLATE_DEFAULT:
        return dict(_ONE_JOB)
    with daemon_extra():
        from warmfork_daemon.config import load, settings_of
    # The default template comes up first whatever is named; it need not be made fast for a job of another.
    return {**_ONE_JOB, "template.rehearse": False, **settings_of(load(environ=os.environ), template)}


def _execute_interruptibly(client: Client, request: dict[str, Any], live: LiveOutput | None) -> Result:
    """Execute in a thread of its own, so that Ctrl-C can cancel the job and still get its output so far.

    Raises BrokenPipeError as soon as nobody reads the job's output any more; the job is cancelled then.
    """
    job_id = secrets.token_hex(16)
    outcome: list[Result | BaseException] = []
    done = threading.Event()

    def call() -> None:
        try:
            outcome.append(client.execute(**request, job_id=job_id, on_output=live))
        except BaseException as problem:  # carried over to the thread that waits
            outcome.append(problem)
        finally:
            done.set()

    if live is not None:
        live.on_broken_pipe = done.set
    try:
        threading.Thread(target=call, name="warmfork-run", daemon=True).start()
        done.wait()
    except KeyboardInterrupt:
        _cancel(client, job_id, done)
        if not outcome or not isinstance(outcome[0], Result) or outcome[0].verdict != "cancelled":
            raise
    if not outcome and live is not None and live.problem is not None:
        with contextlib.suppress(WarmforkError):
            client.cancel(job_id)
        raise live.problem
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _cancel(client: Client, job_id: str, done: threading.Event) -> None:
    sys.stderr.write("\n")
    say("cancelling the job")
    try:
        client.cancel(job_id)
    except WarmforkError:
        return
    done.wait(_CANCEL_WAIT_S)

"""``warmfork keys``: the CURVE keys that TCP needs, one pair for the daemon and one for each client."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from warmfork import curve
from warmfork.cli.exits import UsageError
from warmfork.errors import KeyUnavailable

DESCRIPTION: Final = """\
Make the keys for talking to a daemon over TCP. Each pair is two files: NAME.key, which is handed out, and
NAME.key_secret (mode 0600), which never leaves its owner. Files that are there are not replaced.
"""
EPILOG: Final = """\
examples:
  warmfork keys server --out ~/.config/warmfork/keys            makes server.key and server.key_secret
  warmfork keys client --out ~/.config/warmfork/keys --name alice
  warmfork keys show ~/.config/warmfork/keys/alice.key          prints the public key

The daemon gets tcp.server_key_file = ".../server.key_secret" and tcp.clients_dir, a directory that holds the
NAME.key of each client that may come in. The client gets server.key and its own NAME.key_secret.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="WHAT", required=True)
    for act, summary in (("server", "make the daemon's pair"), ("client", "make a client's pair")):
        maker = acts.add_parser(act, help=summary, allow_abbrev=False)
        maker.add_argument("--out", metavar="DIR", required=True, help="directory for both files; made if missing")
        maker.add_argument(
            "--name", metavar="NAME", required=act == "client", default="server", help="of the files, and in the log"
        )
        maker.add_argument("--force", action="store_true", help="replace the files that are there")
    shower = acts.add_parser("show", help="print the public key in a file, never the secret one", allow_abbrev=False)
    shower.add_argument("file", metavar="FILE", nargs="+", help="NAME.key or NAME.key_secret")


def execute(args: argparse.Namespace) -> int:
    """Make or show keys. Raises UsageError where nothing was made."""
    return _show(args.file) if args.act == "show" else _make(args)


def _make(args: argparse.Namespace) -> int:
    try:
        public, secret = curve.make_key_pair(args.out, args.name, replace=args.force)
    except FileExistsError as problem:
        raise UsageError(f"{problem}; --force replaces it, and shuts out whoever relied on the old key") from None
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise UsageError(f"cannot write keys to {args.out!r}: {problem.strerror or problem}") from None
    holder, other = (
        ("the daemon", "its clients") if args.act == "server" else ("the client", "the daemon's clients_dir")
    )
    sys.stdout.write(
        f"secret key  {secret}  (for {holder} alone)\n"
        f"public key  {public}  (for {other})\n"
        f"            {curve.read_public_key(public).decode()}\n"
    )
    return 0


def _show(files: list[str]) -> int:
    for name in files:
        secret = Path(name).suffix == curve.SECRET_SUFFIX
        try:
            public = curve.read_key_pair(name)[0] if secret else curve.read_public_key(name)
        except KeyUnavailable as problem:
            raise UsageError(str(problem)) from None
        sys.stdout.write(f"{public.decode()}  {name}\n")
    return 0

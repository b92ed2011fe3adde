"""``python -m warmfork_daemon FD``: a private daemon, started by ``warmfork.embedded`` with its lifeline as FD."""

from __future__ import annotations

import sys

from warmfork_daemon.embedded import run_embedded

if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("this starts a private daemon for warmfork.embedded(); by hand, type: warmfork serve")
    sys.exit(run_embedded(int(sys.argv[1])))

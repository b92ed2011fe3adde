"""``python -m warmfork_worker FD``: the template, started by the daemon with its control socket as FD."""

from __future__ import annotations

import sys

from warmfork_worker.template import run_template

if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("warmfork_worker is started by `warmfork serve`; there is nothing to run here by hand")
    run_template(int(sys.argv[1]))

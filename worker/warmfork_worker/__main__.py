"""``python -m warmfork_worker FD``: the template, started by the daemon with its control socket as FD."""

from __future__ import annotations

import sys

from warmfork_worker import launch


def main(control_fd: int) -> None:
    """Enter the layers first and import the rest in there: what cannot be read inside then fails here, once."""
    link, start = launch.receive_start(control_fd)
    try:
        world = launch.enter_world(start)
    except OSError as problem:
        launch.send_failure(problem)
    from warmfork_worker.template import run_template

    run_template(link, start, world)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("warmfork_worker is started by `warmfork serve`; there is nothing to run here by hand")
    main(int(sys.argv[1]))

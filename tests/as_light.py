"""``python -m tests.as_light ARGUMENTS…``: ``python -m warmfork ARGUMENTS…``, and every job of the default template runs light.

So whatever a job does, and not only what ``needs`` lets through, can be tried in a worker that was forked without its
libraries.
"""

from __future__ import annotations

import re
import sys

from warmfork.cli import main
from warmfork.wire.records import TEMPLATE_DEFAULT
from warmfork.wire.requests import ExecuteRequest
from warmfork_daemon import light
from warmfork_daemon.light import MEMORY_BYTES_MIN


def _always(request: ExecuteRequest, template: str, memory_bytes: int) -> bool:
    # What comes late counts as the job's own memory, and OpenBLAS ends the process where there is none for it.
    enough = memory_bytes >= MEMORY_BYTES_MIN or not re.search(rb"\b(np|numpy)\b", request.code)
    return template == TEMPLATE_DEFAULT and not request.rc and enough


if __name__ == "__main__":
    light.may_run_light = _always
    sys.exit(main(sys.argv[1:]))

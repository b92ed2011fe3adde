"""Exit codes of the command, and the error that means "typed wrong"."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from warmfork.results import VERDICTS, Verdict

USAGE: Final = 2
UNAVAILABLE: Final = 69
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

CODE_OF: Final[Mapping[Verdict, int]] = MappingProxyType(
    {
        "ok": 0,
        "error": 1,
        "rejected": 75,
        "timeout": 124,
        "cpu_limit": 152,
        "crashed": 134,
        "memory_limit": 137,
        "disk_limit": 153,
        "cancelled": INTERRUPTED,
        "lost": UNAVAILABLE,
    }
)
assert set(CODE_OF) == set(VERDICTS)

HELP: Final = """\
exit codes:
    0  ok               the code ran to its end
    1  error            it raised, or called sys.exit with a code
    2  usage            the command line, a file named on it, the configuration, or a missing extra
   69  lost             no daemon answered, or it failed underway
   75  rejected         the daemon is full; try again later
  124  timeout          over its time
  130  cancelled        by Ctrl-C, or by another
  134  crashed          the process died of a signal
  137  memory_limit     over its memory
  152  cpu_limit        over its CPU time
  153  disk_limit       over its disk space
"""


class UsageError(Exception):
    """What was typed cannot be done; the message is one sentence for the one who typed it."""

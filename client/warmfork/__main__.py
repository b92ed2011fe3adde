"""``python -m warmfork`` is the command ``warmfork``."""

from __future__ import annotations

import sys

from warmfork.cli import main

if __name__ == "__main__":
    sys.exit(main())

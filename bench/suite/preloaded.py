"""What the fork server of ``multiprocessing`` is told to preload: importing this is all its warmth."""

from __future__ import annotations

from bench.suite import job

job.load_libraries()

"""What a job prints, on our own streams while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TextIO

from warmfork.cli.terminal import harmless, write_exactly, write_shown
from warmfork.results import Result
from warmfork.wire.records import StreamName


class JobTextWriter:
    """One stream of a job onto one of ours, piece by piece, with the same outcome however it was cut into pieces.

    Args:
        stream: where a terminal gets harmless text, and anything else the exact bytes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._for_people = stream.isatty()
        self._held = ""
        self._last = "\n"
        self.chars = 0

    def write(self, text: str) -> None:
        """Write the next piece. Raises OSError."""
        self.chars += len(text)
        if not self._for_people:
            write_exactly(text, self._stream)
            return
        # A line end of two characters may be cut between them; every other sequence is disarmed character by character.
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        self._show(text.removesuffix("\r"))

    def _show(self, text: str) -> None:
        if text:
            self._last = text[-1]
            write_shown(harmless(text), self._stream)

    def end(self) -> None:
        """End the last line on a terminal, so that what follows begins a new one. Raises OSError."""
        held, self._held = self._held, ""
        self._show(held)
        if self._for_people and self._last != "\n":
            self._show("\n")


class LiveOutput:
    """The ``on_output`` of ``warmfork run``.

    Attributes:
        on_broken_pipe: called when nobody reads our output any more.
        problem: the first error in writing; nothing is written after it.
    """

    def __init__(self) -> None:
        self.on_broken_pipe: Callable[[], None] = lambda: None
        self._writers: Final = {"stdout": JobTextWriter(sys.stdout), "stderr": JobTextWriter(sys.stderr)}
        self.problem: OSError | None = None

    def __call__(self, stream: StreamName, text: str) -> None:
        if self.problem is not None:
            return
        try:
            self._writers[stream].write(text)
        except OSError as problem:
            self.problem = problem
            if isinstance(problem, BrokenPipeError):
                self.on_broken_pipe()

    def finish(self, result: Result) -> None:
        """Write what of the result was not written yet, and end both streams. Raises OSError, also one from before."""
        for stream, whole in (("stdout", result.stdout), ("stderr", result.stderr)):
            if self.problem is not None:
                raise self.problem
            writer = self._writers[stream]
            rest = whole[writer.chars :]
            if rest:
                writer.write(rest)
            writer.end()

"""Judges whether two outcomes of one script are the same, and names what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Picture
from tests.corpus.records import Image, Outcome, Script

_SYNTAX: Final = ("SyntaxError", "IndentationError", "TabError")
_OWN_MESSAGE: Final = ("SystemExit", "KeyboardInterrupt")
"""Python gives them no text that says why the script ended; warmfork does."""
_PIXELS: Final = (".png", ".jpg", ".jpeg")


def differences(script: Script, plain: Outcome, ours: Outcome) -> list[str]:
    """Each difference as a short text that starts with its kind; empty where there is none."""
    return [*_end(plain, ours), *_stdout(script, plain, ours), *_images(script, plain, ours)]


def _end(plain: Outcome, ours: Outcome) -> Iterator[str]:
    if (plain.verdict, plain.error_type) != (ours.verdict, ours.error_type):
        yield (
            f"outcome: {plain.verdict} {plain.error_type} became {ours.verdict} {ours.error_type}"
            f" ({ours.error_message[:120]})"
        )
    elif plain.error_type in _SYNTAX and not ours.error_message.startswith(plain.error_message):
        # Python appends file name and line to the text of a SyntaxError, and the file names differ.
        yield f"error message: {plain.error_message!r} became {ours.error_message!r}"
    elif plain.error_type not in (*_OWN_MESSAGE, *_SYNTAX) and plain.error_message != ours.error_message:
        yield f"error message: {plain.error_message!r} became {ours.error_message!r}"
    if plain.error_line != ours.error_line and plain.error_type != "SystemExit":
        yield f"error line: {plain.error_line} became {ours.error_line}"
    if plain.exit_code != ours.exit_code:
        yield f"exit code: {plain.exit_code} became {ours.exit_code}"


def _stdout(script: Script, plain: Outcome, ours: Outcome) -> Iterator[str]:
    if not script.deterministic or plain.stdout == ours.stdout:
        return
    pairs = enumerate(zip(plain.stdout.splitlines(), ours.stdout.splitlines(), strict=False), 1)
    number, (left, right) = next(
        ((number, pair) for number, pair in pairs if pair[0] != pair[1]), (0, (plain.stdout[-60:], ours.stdout[-60:]))
    )
    yield f"stdout line {number or 'count'}: {left[:100]!r} became {right[:100]!r}"


def _images(script: Script, plain: Outcome, ours: Outcome) -> Iterator[str]:
    yield from _saved(script, _by_name(plain), _by_name(ours))
    drawn_there, drawn_here = _by_number(plain), _by_number(ours)
    for number, image in drawn_there.items():
        # A figure that was saved and not changed since comes once, as its file, which is compared above.
        comes_as_file = image.saved_too and number not in script.changed_after_save
        if number in drawn_here and comes_as_file:
            yield f"figures: {number} came twice, rendered and as the file that it was saved to unchanged"
        elif number in drawn_here:
            yield from _pixels(script, f"figure {number}", image.path, drawn_here[number].path)
        elif not comes_as_file:
            yield f"figures: {number} is missing"
    for number in drawn_here.keys() - drawn_there.keys():
        yield f"figures: {number} came and is not open in plain Python"


def _saved(script: Script, there: dict[str, Image], here: dict[str, Image]) -> Iterator[str]:
    for name in sorted(there.keys() ^ here.keys()):
        yield f"figures: the file {name} {'is missing' if name in there else 'came and was not saved in plain Python'}"
    for name in sorted(there.keys() & here.keys()):
        yield from _pixels(script, name, there[name].path, here[name].path)


def _pixels(script: Script, what: str, there: Path, here: Path) -> Iterator[str]:
    # SVG and PDF carry dates and random ids; that they came is all that is compared.
    if not script.deterministic or not there.name.lower().endswith(_PIXELS):
        return
    left, right = _read(there), _read(here)
    if left.shape != right.shape:
        yield f"pixels of {what}: {_size(left)} became {_size(right)}"
    elif not np.array_equal(left, right):
        changed = np.any(left != right, axis=2)
        most = int(np.abs(left.astype(int) - right.astype(int)).max())
        yield f"pixels of {what}: {changed.mean():.3%} differ, by at most {most} of 255"


def _read(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Picture.open(path) as picture:
        return np.asarray(picture.convert("RGBA"))


def _size(pixels: np.ndarray[Any, Any]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _by_name(outcome: Outcome) -> dict[str, Image]:
    return {image.file_name: image for image in outcome.images if image.file_name is not None}


def _by_number(outcome: Outcome) -> dict[int | None, Image]:
    return {image.figure_number: image for image in outcome.images if image.file_name is None}

"""What the corpus is and what a run of one of its scripts leaves behind."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CORPUS: Final = Path(__file__).parent
FOLDERS: Final = ("gallery", "llm", "algorithms", "failing", "refused")


@dataclass(frozen=True, slots=True)
class Script:
    """One script and what is known about it beforehand.

    Attributes:
        name: path below the corpus (``"gallery/table.py"``).
        kind: what it stands for, in a word or two.
        deterministic: False where two plain runs differ: then stdout and pixels are not compared, the rest is.
        cjk: True where it draws Chinese text: then the plain run gets the font that the daemon brings.
        refused: policy -> name of the entry of the policy table that refuses it.
        changed_after_save: figures that were changed after they were saved, so that both come back.
        differs: policy -> why it may end in another way than in plain Python; it still counts as differing.
    """

    name: str
    kind: str
    deterministic: bool = True
    cjk: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    changed_after_save: tuple[int, ...] = ()
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return CORPUS / self.name


@dataclass(frozen=True, slots=True)
class Image:
    """One picture on disk.

    Attributes:
        path: the file.
        saved_too: with an open figure of the plain run: the script saved this very figure to an image file.
        figure_number: the figure it shows, None where that is not known.
        file_name: its path in the job's directory where the script saved it, None for a rendered open figure.
    """

    path: Path
    figure_number: int | None = None
    file_name: str | None = None
    saved_too: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a script ended, on either side.

    Attributes:
        verdict: ``ok``, ``error`` or another of warmfork's verdicts; ``broken`` where the run itself failed.
        stdout, stderr: what the script wrote.
        error_type, error_message, error_line: the exception; empty and None without one.
        images: open figures and saved image files.
        wall_s: seconds that the run took, process start included.
        cpu_s: CPU seconds of the process that ran the script.
    """

    verdict: str
    stdout: str = ""
    stderr: str = ""
    error_type: str = ""
    error_message: str = ""
    error_line: int | None = None
    exit_code: int | None = None
    images: tuple[Image, ...] = ()
    wall_s: float = 0.0
    cpu_s: float = 0.0


def load_manifest() -> tuple[Script, ...]:
    """All scripts in the order of ``manifest.toml``. Raises ValueError where it and the folders do not agree."""
    table = tomllib.loads((CORPUS / "manifest.toml").read_text(encoding="utf-8"))
    scripts = tuple(_script(name, entry) for name, entry in table.items())
    listed = {script.name for script in scripts}
    present = {f"{folder}/{path.name}" for folder in FOLDERS for path in (CORPUS / folder).glob("*.py")}
    if listed != present:
        raise ValueError(f"manifest.toml and the folders differ: {sorted(listed ^ present)}")
    return scripts


def _script(name: str, entry: dict[str, Any]) -> Script:
    changed = tuple(entry.pop("changed_after_save", ()))
    return Script(name=name, changed_after_save=changed, **entry)

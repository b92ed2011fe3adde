"""The corpus is what its manifest says, and its comparer notices each kind of difference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image as Picture
from tests.corpus.judge import differences
from tests.corpus.records import FOLDERS, Image, Outcome, Script, load_manifest
from tests.corpus.refusals import is_in_table, is_refusal_by, refusal_text

SCRIPT = Script("llm/x.py", "example")


def _picture(path: Path, width_px: int = 4, spot: int = 0) -> Path:
    picture = Picture.new("RGB", (width_px, 3), "white")
    picture.putpixel((1, 1), (spot, 0, 0))
    picture.save(path)
    return path


def _outcome(folder: Path, spot: int = 0, width_px: int = 4) -> Outcome:
    """Figure 1 open; figure 2 open and saved unchanged as a.png."""
    folder.mkdir()
    images = (
        Image(_picture(folder / "figure_1.png", width_px, spot), figure_number=1),
        Image(_picture(folder / "figure_2.png"), figure_number=2, saved_too=True),
        Image(_picture(folder / "a.png"), file_name="a.png"),
    )
    return Outcome("error", "one\ntwo\n", "", "KeyError", "'x'", 7, None, images)


def _answer(outcome: Outcome) -> Outcome:
    """The same outcome as warmfork reports it: the saved figure comes once, as its file."""
    first, _, saved = outcome.images
    return dataclasses.replace(outcome, images=(first, dataclasses.replace(saved, figure_number=2)))


def test_same_is_same(tmp_path: Path) -> None:
    """Two runs that agree have no difference."""
    plain = _outcome(tmp_path / "plain")
    assert [] == differences(SCRIPT, plain, _answer(_outcome(tmp_path / "ours")))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"verdict": "crashed"}, "outcome: error KeyError became crashed KeyError"),
        ({"error_type": "ValueError"}, "outcome: error KeyError became error ValueError"),
        ({"error_message": "x"}, "error message: "),
        ({"error_line": 8}, "error line: 7 became 8"),
        ({"exit_code": 1}, "exit code: None became 1"),
        ({"stdout": "one\ntow\n"}, "stdout line 2: 'two' became 'tow'"),
        ({"stdout": "one\n"}, "stdout line count"),
        ({"stdout": "one\ntwo"}, "stdout line count"),
    ],
)
def test_end_and_stdout_are_noticed(change: dict[str, object], expected: str, tmp_path: Path) -> None:
    """One change of outcome or stdout is one difference, named by its kind."""
    plain = _outcome(tmp_path / "plain")
    found = differences(SCRIPT, plain, dataclasses.replace(_answer(plain), **change))  # type: ignore[arg-type]
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_pixels_are_noticed(tmp_path: Path) -> None:
    """One pixel off by one, and another size, are differences; not so where the script is not deterministic."""
    plain = _outcome(tmp_path / "plain")
    spot, wide = _answer(_outcome(tmp_path / "spot", spot=1)), _answer(_outcome(tmp_path / "wide", width_px=5))
    assert ["pixels of figure 1: 8.333% differ, by at most 1 of 255"] == differences(SCRIPT, plain, spot)
    assert ["pixels of figure 1: 4x3 became 5x3"] == differences(SCRIPT, plain, wide)
    assert [] == differences(dataclasses.replace(SCRIPT, deterministic=False), plain, spot)


def test_figures_are_noticed(tmp_path: Path) -> None:
    """A missing, doubled or additional figure or file is a difference."""
    plain = _outcome(tmp_path / "plain")
    ours = _answer(plain)
    rendered, saved = ours.images

    def found(*images: Image, script: Script = SCRIPT) -> list[str]:
        return differences(script, plain, dataclasses.replace(ours, images=images))

    assert ["figures: 1 is missing"] == found(saved)
    assert ["figures: the file a.png is missing"] == found(rendered)
    assert found(rendered, saved, plain.images[1])[0].startswith("figures: 2 came twice")
    changed = dataclasses.replace(SCRIPT, changed_after_save=(2,))
    assert [] == found(rendered, saved, plain.images[1], script=changed)
    assert ["figures: 2 is missing"] == found(rendered, saved, script=changed)
    extra = dataclasses.replace(rendered, figure_number=9)
    assert ["figures: 9 came and is not open in plain Python"] == found(rendered, saved, extra)
    file = dataclasses.replace(saved, file_name="b.png")
    assert ["figures: the file b.png came and was not saved in plain Python"] == found(rendered, saved, file)


def test_refusals_are_found_where_they_are_told() -> None:
    """The policy's sentence is found in the error and in what the script printed of it, and nowhere else."""
    sentence = "Importing 'gc' is not allowed in the code sandbox."
    assert sentence == refusal_text(Outcome("error", error_message=sentence))
    assert sentence in refusal_text(Outcome("ok", stdout=f"no: {sentence}\n"))
    assert "" == refusal_text(Outcome("error", error_message="not allowed"))


def test_manifest_is_complete() -> None:
    """Every script is in the manifest, with a plain kind, and there are enough of each folder."""
    scripts = load_manifest()
    count = {folder: sum(script.name.startswith(folder) for script in scripts) for folder in FOLDERS}
    assert all(number >= 15 for number in count.values()), count
    assert [] == [script.name for script in scripts if not script.kind]


def test_refusals_are_in_the_policy_table() -> None:
    """Every entry that the manifest names as refusing is an entry of the policy's tables, under that policy."""
    named = {(entry, policy) for script in load_manifest() for policy, entry in script.refused.items()}
    assert [] == sorted(pair for pair in named if not is_in_table(*pair))


def test_refusal_by_another_entry_is_noticed() -> None:
    """A sentence is taken for that of its own entry only."""
    importing = "ImportError: Importing 'urllib.request' is not allowed in the code sandbox."
    assert is_refusal_by("urllib.request", importing)
    assert not is_refusal_by("requests", importing)
    assert is_refusal_by("os.fork", "Forking a process is not allowed in the code sandbox.")
    assert is_refusal_by("exec", "Calling exec() is not allowed in the code sandbox.")
    assert not is_refusal_by("exec", "Calling eval() is not allowed in the code sandbox.")
    assert not is_refusal_by("open", "")

"""Charts of every kind come out of the guard as they come without it: pixels, numbers, and not one warning more."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from msgspec import structs
from PIL import Image
from tests.positive.same import differences

from warmfork import Client, Result

CHARTS: Final = Path(__file__).parent / "charts"
ALL: Final = ("png", "svg", "pdf")
LEAST: Final = {"basic": 20 * 3, "fields": 23 * 3, "layout": 23 * 3, "saved": 15, "seaborn_all": 24}
"""Charts of each program; fewer would mean that one was lost on both sides."""


@pytest.mark.parametrize("name", sorted(path.stem for path in CHARTS.glob("*.py")))
def test_charts_are_the_same(name: str, guarded: Client, control: Client) -> None:
    """Verdict, stdout, stderr, charts and files of a program do not depend on the guard."""
    code = (CHARTS / f"{name}.py").read_text(encoding="utf-8")
    formats = ("png",) if name == "seaborn_all" else ALL

    def run(client: Client) -> Result:
        rc = {"svg.hashsalt": "one", "figure.max_open_warning": 0}
        return client.execute(code, formats=formats, rc=rc, timeout_s=100)

    with ThreadPoolExecutor(2) as pool:
        there, here = pool.map(run, (control, guarded))
    assert ("ok", True) == (here.verdict, here.guarded), here.error
    assert not there.guarded
    assert [] == differences(there, here)
    assert len(here.charts) >= LEAST[name]
    assert (0, 0) == (here.dropped.charts, here.dropped.files)
    for chart in here.charts:
        if chart.media_type == "image/png":
            with Image.open(io.BytesIO(chart.data)) as picture:
                assert len(picture.convert("RGB").resize((64, 64)).getcolors(4096) or []) > 1, f"{chart.title} is empty"


def test_a_difference_is_noticed(guarded: Client) -> None:
    """The comparison sees another pixel, warning, title, number of charts and file."""
    code = "import matplotlib.pyplot as plt\nplt.plot([1, {}])\nplt.title('{}')\nopen('{}', 'w').close()"
    one, two = (guarded.execute(code.format(*values)) for values in ((2, "a", "f"), (3, "b", "g")))
    assert [] == differences(one, one)
    found = " ".join(differences(one, two))
    assert all(part in found for part in ("title of chart 0", "chart 0 (a, image/png) differs", "the file g is new"))
    assert ["1 charts became 0"] == differences(one, structs.replace(one, charts=()))
    assert ["stderr: '' became 'x'"] == differences(one, structs.replace(one, stderr="x"))

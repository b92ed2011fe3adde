"""The code that is timed: one text for each workload, the same for whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Workload:
    """One piece of code to time.

    Attributes:
        letter: its short name.
        title: what it does.
        code: the source.
        formats: of its figures; empty where it draws none.
        stdout: what it must print, None where it prints nothing worth checking.
    """

    letter: str
    title: str
    code: str
    formats: tuple[str, ...] = ()
    stdout: str | None = None

    @property
    def charts(self) -> int:
        """How many charts must come back: each workload that draws makes one figure."""
        return len(self.formats)


_PRODUCT: Final = """\
import numpy as np
a = np.arange(40_000, dtype=float).reshape(200, 200) / 40_000
b = a @ a.T
print(f"{b.sum():.6e}")
"""

_GROUPBY: Final = """\
import numpy as np
import pandas as pd
n = np.arange(10_000)
table = pd.DataFrame({
    "region": np.array(["north", "south", "east", "west"])[n % 4],
    "month": n // 4 % 12 + 1,
    "units": n * 37 % 97 + 1,
    "price": 20.0 + 4.0 * np.sin(n),
})
table["revenue"] = table["units"] * table["price"]
summary = table.groupby(["region", "month"]).agg(units=("units", "sum"), revenue=("revenue", "mean"))
print(len(summary), int(summary["units"].sum()))
"""

_CHART: Final = """\
import matplotlib.pyplot as plt
import numpy as np
x = np.linspace(0, 10, 200)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.plot(x, np.sin(x), label="sin"); left.plot(x, np.cos(x), label="cos"); left.legend(); left.set_title("Lines")
right.bar(["a", "b", "c", "d"], [3, 7, 2, 5]); right.set_title("Bars"); right.set_ylabel("count")
"""

_HEATMAP: Final = """\
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
values = np.random.default_rng(3).normal(size=(10, 12))
table = pd.DataFrame(values, index=[f"row {i}" for i in range(10)], columns=[f"m{i}" for i in range(12)])
fig, ax = plt.subplots(figsize=(9, 6))
sns.heatmap(table, annot=True, fmt=".2f", cmap="viridis", ax=ax)
ax.set_title("Annotated heatmap")
"""

_CHINESE: Final = """\
import matplotlib.pyplot as plt
labels = ["北京", "上海", "广州", "深圳", "成都", "杭州"]
values = [412, 398, 276, 301, 254, 243]
fig, ax = plt.subplots(figsize=(8, 4.5))
bars = ax.bar(labels, values, color="#4477aa")
ax.bar_label(bars)
ax.set_title("各城市季度销售额")
ax.set_xlabel("城市")
ax.set_ylabel("销售额(万元)")
"""

ALL: Final[Mapping[str, Workload]] = MappingProxyType(
    {
        workload.letter: workload
        for workload in (
            Workload("T", "print(1 + 1)", "print(1+1)", stdout="2\n"),
            Workload("N", "numpy, product of 200 x 200", _PRODUCT, stdout="1.999917e+06\n"),
            Workload("D", "pandas, groupby of 10,000 rows", _GROUPBY, stdout="48 489930\n"),
            Workload("C", "two axes, lines and bars, PNG", _CHART, ("png",)),
            Workload("S", "annotated seaborn heatmap, PNG", _HEATMAP, ("png",)),
            Workload("Z", "bars with Chinese labels, PNG", _CHINESE, ("png",)),
            Workload("P", "the chart of C as PDF and SVG", _CHART, ("pdf", "svg")),
        )
    }
)

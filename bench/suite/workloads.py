"""The code that is timed (the one text that ``warmfork bench`` has, too), and a chart that stays for a look at its memory."""

from __future__ import annotations

from typing import Final

from warmfork.cli.bench_workloads import ALL, Workload

__all__ = ["ALL", "CHARTS", "HELD_S", "HOLD", "Workload", "chosen"]

CHARTS: Final = tuple(letter for letter, workload in ALL.items() if workload.formats == ("png",))
"""Workloads whose pixels can be compared."""

HELD_S: Final = 0.8

HOLD: Final = Workload(
    "H",
    "the chart of C, drawn and then held",
    f"""{ALL["C"].code}
import io
import time
fig.savefig(io.BytesIO(), format="png", bbox_inches="tight")
time.sleep({HELD_S})
""",
    ("png",),
)


def chosen(letters: str) -> list[Workload]:
    """Workloads by their letters, commas between. Raises ValueError that names the one that is not there."""
    words = [word.strip().upper() for word in letters.split(",") if word.strip()]
    unknown = [word for word in words if word not in ALL]
    if unknown or not words:
        raise ValueError(f"{unknown[0] if unknown else letters!r} is no workload; there are {', '.join(ALL)}")
    return [ALL[word] for word in dict.fromkeys(words)]

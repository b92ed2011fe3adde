"""What jobs do with tables and arrays, done once in the template: what their libraries first make, or load, is then there."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any, Final

_THREADED: Final = ("pyarrow", "numexpr")
"""With these pandas computes in threads that they start, and a template with threads cannot fork safely."""


def arrays() -> None:
    """Random numbers, statistics, sorting, linear algebra, fits, text."""
    numpy: Any = import_module("numpy")
    random = numpy.random.default_rng(0)
    values = random.normal(size=(40, 40))
    _ = random.integers(0, 9, 40), random.choice(values[0], 5), random.random(5), numpy.random.rand(3)
    _ = numpy.linalg.solve(values, values[0]), numpy.linalg.eigh(values @ values.T), numpy.linalg.svd(values)
    _ = numpy.percentile(values, [5, 95], axis=0), numpy.corrcoef(values[:2]), numpy.histogram(values, bins=5)
    _ = numpy.unique(values.round(1), return_counts=True), numpy.argsort(values), numpy.where(values > 0, values, 0)
    _ = numpy.polyfit(values[0], values[1], 1), numpy.interp([1.5], [1, 2], [3, 4]), numpy.cumsum(values)
    _ = (values.mean(axis=1), values.std(), values.max(), values.reshape(-1, 10), numpy.concatenate([values, values]))
    _ = str(values), f"{values[0, 0]:.2f}", repr(values[:2, :2].astype(int))


def tables() -> None:
    """Building, reading, selecting, grouping, joining, reshaping, time series, text, printing.

    Nothing where pandas has found one of the libraries of ``_THREADED``.
    """
    if sys.modules.keys() & set(_THREADED):
        return
    numpy: Any = import_module("numpy")
    pandas: Any = import_module("pandas")
    count = 60
    numbers = numpy.arange(count)
    frame = pandas.DataFrame(
        {
            "day": pandas.date_range("2024-01-01", periods=count),
            "group": [f"g{number % 4}" for number in range(count)],
            "code": numbers % 7,
            "value": numbers * 1.5,
        }
    )
    _select(frame)
    _group(pandas, frame)
    _reshape(pandas, frame)
    _print(pandas, frame)


def _select(frame: Any) -> None:
    frame[frame["value"] > 10].sort_values(["group", "value"], ascending=[True, False]).reset_index(drop=True)
    _ = frame.loc[3:5, ["group", "value"]], frame.iloc[-1], frame.nlargest(3, "value"), frame.isin(["g1"])
    frame["ratio"] = frame["value"] / frame["code"].replace(0, 1)
    frame["size"] = frame["value"].apply(lambda value: "large" if value > 40 else "small")
    frame["upper"] = frame["group"].str.upper().str.contains("G1")
    frame["month"] = frame["day"].dt.month
    gaps = frame["value"].where(frame["code"] > 0)
    _ = gaps.isna().sum(), gaps.fillna(gaps.mean()), gaps.dropna(), gaps.interpolate()
    _ = (
        frame["value"].pct_change(),
        frame["value"].rolling(3).mean(),
        frame["value"].cumsum(),
        frame["value"].quantile([0.5]),
    )


def _group(pandas: Any, frame: Any) -> None:
    _ = frame.groupby("group")["value"].sum(), frame.groupby("code").mean(numeric_only=True).sort_index()
    frame.groupby("group").agg({"value": ["mean", "std", "count"], "code": "max"})
    frame.groupby(["group", "size"], as_index=False).agg(total=("value", "sum"), most=("value", "max"))
    _ = frame.groupby("group")["value"].transform("mean"), frame.groupby("group").size().sort_values()
    frame.groupby("code")["value"].apply(lambda values: values.max() - values.min())
    _ = frame["group"].value_counts(normalize=True), frame["code"].nunique(), frame["group"].unique()
    _ = pandas.cut(frame["value"], bins=3), pandas.qcut(frame["value"], 4, labels=False)
    frame.set_index("day")["value"].resample("MS").sum()


def _reshape(pandas: Any, frame: Any) -> None:
    other = pandas.DataFrame({"group": ["g0", "g1"], "weight": [1, 2]})
    _ = frame.merge(other, on="group", how="left"), pandas.concat([other, other], ignore_index=True)
    frame.pivot_table(index="group", columns="size", values="value", aggfunc="mean", fill_value=0)
    _ = pandas.crosstab(frame["group"], frame["size"]), other.melt(id_vars="group"), other.set_index("group").T
    _ = frame.select_dtypes("number").corr(), pandas.to_datetime(["2024-02-01"]), pandas.to_numeric(["1", "2"])
    other.rename(columns={"weight": "w"}).drop(columns="w").drop_duplicates()
    _ = list(other.iterrows()), list(other.itertuples()), other.to_dict("records"), other.astype({"weight": float})


def _print(pandas: Any, frame: Any) -> None:
    text = frame.to_csv(index=False)
    read = pandas.read_csv(io.StringIO(text), parse_dates=["day"])
    _ = read.describe(), read.head().to_string(), str(read), repr(read["value"]), read.dtypes.to_string()
    read.info(buf=io.StringIO())
    _ = pandas.read_json(io.StringIO(read.head().to_json(orient="records"))), read.head().to_html()

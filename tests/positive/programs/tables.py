"""pandas and numpy to and from files of the job's directory: runs under every policy."""

# mypy: ignore-errors
# Programs as jobs bring them: they are run, and not by this interpreter.

import io
import json
import os
import sqlite3
import zipfile
from typing import Any

import numpy as np
import pandas as pd


def _frame() -> Any:
    days = pd.date_range("2024-02-27", periods=4, freq="D")
    return pd.DataFrame(
        {"day": days, "name": ["北京", "b", "c", "d"], "n": [1, 2, 3, 4], "x": [0.5, 1.5, np.nan, -2.0]}
    )


def check_csv() -> None:
    frame = _frame()
    frame.to_csv("a.csv", index=False)
    pd.testing.assert_frame_equal(frame, pd.read_csv("a.csv", parse_dates=["day"]), check_dtype=False)
    assert sum(len(part) for part in pd.read_csv("a.csv", chunksize=3)) == 4
    assert len(pd.read_csv("a.csv", engine="python", sep=",")) == 4
    assert len(pd.read_csv("a.csv", memory_map=True)) == 4
    assert len(pd.read_csv("a.csv", encoding="utf-8", low_memory=False)) == 4
    frame.to_csv("a.tsv", sep="\t", mode="a")


def check_csv_compressed() -> None:
    for suffix in ("gz", "bz2", "xz", "zip", "tar", "tar.gz"):
        _frame().to_csv(f"b.csv.{suffix}", index=False)
        assert len(pd.read_csv(f"b.csv.{suffix}")) == 4, suffix


def check_json() -> None:
    frame = _frame()
    frame.to_json("a.json", orient="records", date_format="iso", force_ascii=False)
    assert list(pd.read_json("a.json")["n"]) == [1, 2, 3, 4]
    frame.to_json("a.jsonl", orient="records", lines=True, date_format="iso")
    assert len(pd.read_json("a.jsonl", lines=True)) == 4
    assert pd.json_normalize([{"a": {"b": 1}}])["a.b"][0] == 1
    json.loads(frame.to_json(orient="table"))


def check_pickle() -> None:
    frame = _frame()
    for name in ("a.pkl", "a.pkl.gz", "a.pkl.xz"):
        frame.to_pickle(name)
        pd.testing.assert_frame_equal(frame, pd.read_pickle(name))


def check_sql() -> None:
    with sqlite3.connect("frame.db") as link:
        _frame().to_sql("t", link, index=False)
        got = pd.read_sql("select name, n from t where n > ? order by n", link, params=(2,))
        assert list(got["n"]) == [3, 4]
        _frame().to_sql("t", link, index=False, if_exists="append", chunksize=2)
        assert pd.read_sql_query("select count(*) c from t", link)["c"][0] == 8
    link.close()


def check_texts() -> None:
    frame = _frame()
    assert "<table" in frame.to_html()
    frame.to_html("a.html")
    assert "北京" in frame.to_string()
    frame.info(buf=io.StringIO())
    frame.to_xml(parser="etree", path_or_buffer="a.xml")
    assert len(pd.read_xml("a.xml", parser="etree")) == 4
    assert len(pd.read_fwf(io.StringIO("a   b\n1   2\n"))) == 1
    frame.drop(columns="day").to_stata("a.dta", version=118)
    assert len(pd.read_stata("a.dta")) == 4
    assert repr(frame.memory_usage(deep=True))


def check_frame_work() -> None:
    frame = _frame()
    assert frame.query("n > @limit", local_dict={"limit": 2})["n"].sum() == 7
    assert frame.eval("n * 2").sum() == 20
    assert frame.groupby("name")["n"].agg(["sum", "mean"]).shape == (4, 2)
    assert frame.set_index("day").resample("2D")["n"].sum().tolist() == [3, 7]
    assert frame.merge(frame, on="n").shape == (4, 7)
    assert frame.pivot_table(index="name", values="n").shape == (4, 1)
    assert frame["day"].dt.tz_localize("Asia/Shanghai").dt.tz_convert("Europe/Berlin")[0].hour == 17
    assert frame["x"].rolling(2).mean().notna().sum() == 1
    assert frame["x"].interpolate().notna().all()
    assert frame["name"].str.contains("京", regex=True).sum() == 1
    frame.describe(include="all")


def check_numpy_files() -> None:
    values = np.arange(12.0).reshape(3, 4)
    np.save("v.npy", values)
    assert (np.load("v.npy") == values).all()
    assert np.load("v.npy", mmap_mode="r")[1, 1] == 5
    np.savez_compressed("v.npz", a=values, b=values.T)
    with np.load("v.npz") as both:
        assert both["b"].shape == (4, 3)
    np.savetxt("v.txt", values)
    assert np.loadtxt("v.txt").shape == np.genfromtxt("v.txt").shape == (3, 4)
    np.savetxt("v.txt.gz", values)
    assert np.loadtxt("v.txt.gz").shape == (3, 4)
    values.tofile("v.bin")
    assert np.fromfile("v.bin").size == 12
    np.save("o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert np.load("o.npy", allow_pickle=True)[0]["a"] == 1


def check_numpy_memmap() -> None:
    big = np.memmap("big.dat", dtype="float64", mode="w+", shape=(1000, 100))
    big[:] = 1.0
    big.flush()
    del big
    again = np.memmap("big.dat", dtype="float64", mode="r+", shape=(1000, 100))
    again[0] += 1
    assert again.sum() == 100_100
    lazily = np.lib.format.open_memmap("m.npy", mode="w+", dtype="int32", shape=(10,))
    lazily[3] = 7
    lazily.flush()
    assert np.load("m.npy")[3] == 7


def check_numpy_work() -> None:
    rng = np.random.default_rng(7)
    square = rng.normal(size=(120, 120))
    assert np.allclose(square @ np.linalg.inv(square), np.eye(120), atol=1e-6)
    np.linalg.svd(square)
    np.linalg.eigvals(square)
    np.fft.fft2(square)
    np.show_config(mode="dicts")
    np.polyfit(np.arange(5), np.arange(5), 1)
    assert np.vectorize(lambda value: value + 1)(np.arange(3)).tolist() == [1, 2, 3]
    assert np.einsum("ij,ij->", square, square) > 0
    np.random.seed(3)
    np.random.shuffle(square)


def check_zip_of_frames() -> None:
    with zipfile.ZipFile("frames.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.csv", _frame().to_csv(index=False))
    with zipfile.ZipFile("frames.zip") as archive, archive.open("1.csv") as member:
        assert len(pd.read_csv(member)) == 4
    assert os.path.getsize("frames.zip") > 0

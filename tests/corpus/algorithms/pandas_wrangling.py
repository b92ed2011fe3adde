"""Merging, reshaping, windows, strings, missing values; to and from pickle and csv by pandas."""
import numpy as np
import pandas as pd

orders = pd.DataFrame({"id": [1, 2, 3, 4], "who": ["ann", "bo", "ann", None], "amount": [10.0, np.nan, 7.5, 3.0]})
people = pd.DataFrame({"who": ["ann", "bo", "cy"], "city": ["Ulm", "Bern", "Nice"]})
merged = orders.merge(people, on="who", how="left", indicator=True)
print(merged.to_string())
print(orders["amount"].fillna(orders["amount"].mean()).round(3).tolist(), orders.isna().sum().to_dict())
long = merged.melt(id_vars="id", value_vars=["who", "city"])
print(long.groupby("variable")["value"].apply(lambda s: s.dropna().str.upper().tolist()).to_dict())
series = pd.Series(range(8), index=pd.date_range("2024-01-01", periods=8, freq="6h"))
print(series.resample("D").sum().to_dict(), series.rolling(3).mean().round(2).tolist()[-2:])
print(series.ewm(alpha=0.5).mean().round(4).iloc[-1], pd.qcut(series, 4, labels=False).tolist())
orders.to_csv("orders.csv", index=False)
assert pd.read_csv("orders.csv").equals(orders)
print(pd.crosstab(merged["who"], merged["city"]).to_string())
print(orders.eval("amount * 2 + id").tolist(), pd.json_normalize({"a": {"b": 1}}).columns.tolist())
print(pd.concat([orders.head(1), orders.tail(1)], ignore_index=True).shape, orders.sort_values("amount").index.tolist())

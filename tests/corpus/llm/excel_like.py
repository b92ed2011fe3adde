import pandas as pd
import numpy as np
import matplotlib.pyplot as plt
from io import StringIO

csv = StringIO("""date,product,qty,price
2024-01-05,Widget,10,2.5
2024-01-19,Gadget,3,10.0
2024-02-02,Widget,7,2.5
2024-02-20,Gizmo,1,99.9
2024-03-11,Gadget,6,9.5
2024-03-30,Widget,12,2.4
""")
df = pd.read_csv(csv, parse_dates=["date"])
df["amount"] = df["qty"] * df["price"]
df["month"] = df["date"].dt.to_period("M").astype(str)
pivot = pd.pivot_table(df, values="amount", index="month", columns="product", aggfunc="sum", fill_value=0, margins=True)
print(pivot.round(1).to_string())
print(df.describe(include="number").round(2).to_string())
df.to_csv("clean.csv", index=False)
again = pd.read_csv("clean.csv")
print("rows kept:", len(again), "columns:", list(again.columns))
expensive = df.query("price > 5").sort_values("amount", ascending=False)
limit = 50
print(df.query("amount > @limit")["product"].tolist(), expensive["product"].tolist())
df["level"] = pd.cut(df["amount"], bins=[0, 20, 50, 200], labels=["low", "mid", "high"])
counts = df["level"].value_counts().sort_index()
counts.plot(kind="bar", color=["#aaa", "#77b", "#2a6"], rot=0)
plt.title("Orders by level")
plt.tight_layout()
plt.savefig("levels.png")

"""Group, aggregate and draw with subplots=True."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

frame = pd.DataFrame(
    {
        "city": np.tile(["Lyon", "Oslo", "Graz"], 8),
        "quarter": np.repeat(["Q1", "Q2", "Q3", "Q4"], 6),
        "sales": (np.arange(24) * 37 % 50) + 10,
        "cost": (np.arange(24) * 17 % 30) + 5,
    }
)
summary = frame.groupby(["quarter", "city"], as_index=False).agg(sales=("sales", "sum"), cost=("cost", "mean"))
wide = summary.pivot_table(index="quarter", columns="city", values="sales")
axes = wide.plot(kind="line", subplots=True, layout=(1, 3), figsize=(10, 3), sharey=True, marker="o", legend=False)
for ax, name in zip(axes.flat, wide.columns):
    ax.set_title(name)
plt.tight_layout()
print(summary.to_string(index=False))
print(frame.query("sales > 40 and city == 'Oslo'").shape)

"""A heatmap of pivoted monthly numbers, as flights data is usually shown."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
rows = [(year, month, 100 + 12 * (year - 2015) + 15 * np.sin(k)) for year in range(2015, 2021) for k, month in enumerate(months)]
frame = pd.DataFrame(rows, columns=["year", "month", "passengers"])
table = frame.pivot(index="month", columns="year", values="passengers").loc[months]
fig, ax = plt.subplots(figsize=(8, 5))
sns.heatmap(table, annot=True, fmt=".0f", cbar_kws={"label": "thousand"}, ax=ax)
ax.set(xlabel="", ylabel="")

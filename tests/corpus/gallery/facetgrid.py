"""A FacetGrid with one line chart per group, and its own titles."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

steps = np.arange(40)
parts = []
for walk in range(4):
    rng = np.random.default_rng(100 + walk)
    parts.append(pd.DataFrame({"walk": walk, "step": steps, "position": rng.integers(-1, 2, 40).cumsum()}))
frame = pd.concat(parts, ignore_index=True)
grid = sns.FacetGrid(frame, col="walk", hue="walk", col_wrap=2, height=2)
grid.refline(y=0, linestyle=":")
grid.map(plt.plot, "step", "position", marker="o", markersize=3)
grid.set(xticks=[0, 20, 40], yticks=[-10, 0, 10])
grid.set_titles("walk {col_name}")
grid.figure.tight_layout(w_pad=1)

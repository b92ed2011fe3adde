"""Scatter with a fitted line; no bootstrap, so every run is the same."""
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

rng = np.random.default_rng(29)
x = np.linspace(0, 10, 50)
y = 2.5 * x + rng.normal(0, 3, 50)
ax = sns.regplot(x=x, y=y, ci=None, scatter_kws={"s": 20}, line_kws={"color": "crimson"})
slope, intercept = np.polyfit(x, y, 1)
ax.set_title(f"y = {slope:.2f} x + {intercept:.2f}")
plt.show()
print(f"slope={slope:.6f} intercept={intercept:.6f}")

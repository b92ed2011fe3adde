"""Histograms: overlaid, stacked, cumulative, with weights."""
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(3)
a = rng.normal(0, 1, 800)
b = rng.normal(1.5, 0.7, 500)
fig, axes = plt.subplots(2, 2, figsize=(8, 6), constrained_layout=True)
axes[0, 0].hist([a, b], bins=25, label=["a", "b"])
axes[0, 0].legend()
axes[0, 1].hist([a, b], bins=25, stacked=True, density=True)
axes[1, 0].hist(a, bins=50, cumulative=True, histtype="step", density=True)
axes[1, 1].hist(b, bins=20, weights=np.full(b.size, 1 / b.size), color="salmon", edgecolor="white")
for ax, title in zip(axes.flat, ["beside", "stacked", "cumulative", "weighted"]):
    ax.set_title(title)
counts, edges = np.histogram(a, bins=5)
print(counts.tolist(), np.round(edges, 3).tolist())

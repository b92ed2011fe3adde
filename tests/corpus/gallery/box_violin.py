"""Box plots and violins side by side."""
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(8)
data = [rng.normal(mean, spread, 120) for mean, spread in [(0, 1), (1, 0.5), (0.5, 1.6), (-1, 0.8)]]
fig, (ax1, ax2) = plt.subplots(ncols=2, figsize=(9, 4), sharey=True)
boxes = ax1.boxplot(data, notch=True, patch_artist=True, showmeans=True)
for patch, color in zip(boxes["boxes"], ["pink", "lightblue", "lightgreen", "khaki"]):
    patch.set_facecolor(color)
parts = ax2.violinplot(data, showmedians=True)
for body in parts["bodies"]:
    body.set_facecolor("#8070c0")
    body.set_alpha(0.6)
for ax in (ax1, ax2):
    ax.set_xticks([1, 2, 3, 4], labels=["A", "B", "C", "D"])
    ax.yaxis.grid(True)
print([f"{np.median(values):.3f}" for values in data])

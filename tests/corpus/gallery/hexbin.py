"""Hexagonal bins, linear and logarithmic."""
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(19680801)
x = rng.standard_normal(4000)
y = 2 + 3 * x + 4 * rng.standard_normal(4000)
fig, axes = plt.subplots(ncols=2, sharey=True, figsize=(9, 4))
for ax, bins in zip(axes, [None, "log"]):
    hexes = ax.hexbin(x, y, gridsize=30, bins=bins, cmap="inferno")
    fig.colorbar(hexes, ax=ax, label="counts" if bins is None else "log counts")
print(int(axes[0].collections[0].get_array().sum()))

"""Images: interpolation, logarithmic norm, boundary norm, masked values."""
import matplotlib.colors as colors
import matplotlib.pyplot as plt
import numpy as np

grid = np.add.outer(np.arange(16) ** 2, np.arange(16) ** 2).astype(float) + 1
masked = np.ma.masked_greater(grid, 300)
fig, axes = plt.subplots(2, 2, figsize=(7, 6), layout="constrained")
axes[0, 0].imshow(grid, interpolation="bilinear", origin="lower")
log = axes[0, 1].imshow(grid, norm=colors.LogNorm(vmin=1, vmax=grid.max()), cmap="magma")
fig.colorbar(log, ax=axes[0, 1])
steps = axes[1, 0].pcolormesh(grid, norm=colors.BoundaryNorm([0, 50, 100, 250, 500], 256), cmap="PuOr")
fig.colorbar(steps, ax=axes[1, 0], extend="both")
cmap = plt.colormaps["viridis"].copy()
cmap.set_bad("lightgrey")
axes[1, 1].imshow(masked, cmap=cmap)
print("masked cells:", int(masked.mask.sum()))

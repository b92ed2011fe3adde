"""Filled contours with labelled lines and hatching."""
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(-3, 3, 80)
xx, yy = np.meshgrid(x, x)
z = (1 - xx / 2 + xx**5 + yy**3) * np.exp(-(xx**2) - yy**2)
fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(9, 4))
filled = ax1.contourf(xx, yy, z, levels=12, cmap="RdBu_r")
lines = ax1.contour(xx, yy, z, levels=filled.levels[::2], colors="k", linewidths=0.6)
ax1.clabel(lines, fmt="%.2f", fontsize=7)
fig.colorbar(filled, ax=ax1)
ax2.contourf(xx, yy, z, levels=5, hatches=["-", "/", "\\", "//", "."], cmap="gray", extend="both", alpha=0.5)

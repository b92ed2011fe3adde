"""Confidence bands and areas between two curves."""
import matplotlib.pyplot as plt
import numpy as np

x = np.arange(0, 2, 0.02)
y1, y2 = np.sin(2 * np.pi * x), 0.8 * np.sin(4 * np.pi * x)
fig, (ax1, ax2, ax3) = plt.subplots(3, 1, sharex=True, figsize=(6, 7))
ax1.fill_between(x, y1, alpha=0.4)
ax2.fill_between(x, y1, y2, where=y1 > y2, interpolate=True, color="C2", alpha=0.5, label="y1 > y2")
ax2.fill_between(x, y1, y2, where=y1 <= y2, interpolate=True, color="C3", alpha=0.5, label="y1 <= y2")
ax2.legend()
mean = np.cos(x * 3)
ax3.plot(x, mean, "k--")
ax3.fill_between(x, mean - 0.3, mean + 0.3, facecolor="none", hatch="//", edgecolor="grey")
ax3.axhspan(-0.2, 0.2, color="gold", alpha=0.3)
ax3.axvline(1, color="r", lw=0.8)

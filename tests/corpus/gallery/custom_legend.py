"""Legends made of handles that are on no axes."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

fig, ax = plt.subplots()
for k in range(10):
    ax.plot(np.arange(20), np.arange(20) * k / 10 + np.sin(np.arange(20)), color=plt.cm.cool(k / 10))
handles = [
    Line2D([0], [0], color=plt.cm.cool(0.0), lw=4, label="cold"),
    Line2D([0], [0], color=plt.cm.cool(1.0), lw=4, label="hot"),
    Line2D([0], [0], marker="o", color="w", label="sample", markerfacecolor="g", markersize=12),
    Patch(facecolor="orange", edgecolor="r", label="area"),
]
ax.legend(handles=handles, loc="upper left", frameon=True, shadow=True)

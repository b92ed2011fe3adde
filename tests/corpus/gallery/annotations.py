"""Arrows, boxes and mathematical text."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse, FancyArrowPatch, Rectangle

t = np.linspace(0, 4, 300)
fig, ax = plt.subplots(figsize=(7, 4))
ax.plot(t, np.exp(-t / 2) * np.cos(2 * np.pi * t))
ax.annotate("first maximum", xy=(0, 1), xytext=(0.8, 0.9), arrowprops=dict(facecolor="black", shrink=0.05, width=1))
ax.annotate(
    r"$e^{-t/2}\cos(2\pi t)$",
    xy=(2, np.exp(-1)),
    xytext=(2.4, 0.6),
    fontsize=13,
    bbox=dict(boxstyle="round,pad=0.4", fc="wheat"),
    arrowprops=dict(arrowstyle="->", connectionstyle="arc3,rad=0.3"),
)
ax.add_patch(Ellipse((1.5, -0.47), 0.5, 0.25, fill=False, color="r"))
ax.add_patch(Rectangle((3, -0.3), 0.8, 0.5, alpha=0.2))
ax.add_patch(FancyArrowPatch((0.2, -0.8), (3.8, -0.8), arrowstyle="<->", mutation_scale=15))
ax.text(0.98, 0.02, r"$\alpha > \beta_i,\ \sum_{k=1}^{n} \sqrt{k}$", transform=ax.transAxes, ha="right")
ax.set_ylim(-1, 1.1)

"""Gradients of named and home-made colour maps."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, ListedColormap

gradient = np.vstack([np.linspace(0, 1, 256)] * 2)
maps = [
    plt.colormaps["viridis"],
    plt.colormaps["twilight"],
    ListedColormap(["darkorange", "gold", "lawngreen", "lightseagreen"], name="four"),
    LinearSegmentedColormap.from_list("rwb", ["red", "white", "blue"], N=64),
]
fig, axes = plt.subplots(len(maps), 1, figsize=(6, 2.4))
for ax, cmap in zip(axes, maps):
    ax.imshow(gradient, aspect="auto", cmap=cmap)
    ax.text(-0.01, 0.5, cmap.name, va="center", ha="right", transform=ax.transAxes, fontsize=9)
    ax.set_axis_off()

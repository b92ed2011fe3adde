"""A zoomed inset."""
import matplotlib.pyplot as plt
import numpy as np

z = np.add.outer(np.sin(np.arange(60) / 5), np.cos(np.arange(60) / 9))
fig, ax = plt.subplots()
ax.imshow(z, extent=(0, 60, 0, 60), origin="lower")
inset = ax.inset_axes([0.55, 0.55, 0.42, 0.42], xlim=(10, 22), ylim=(15, 27), xticklabels=[], yticklabels=[])
inset.imshow(z, extent=(0, 60, 0, 60), origin="lower")
ax.indicate_inset_zoom(inset, edgecolor="black")

"""Panels of unequal size by GridSpec and nested grids."""
import matplotlib.gridspec as gridspec
import matplotlib.pyplot as plt
import numpy as np

fig = plt.figure(figsize=(8, 6))
outer = gridspec.GridSpec(2, 2, width_ratios=[2, 1], height_ratios=[1, 2], wspace=0.3, hspace=0.35, figure=fig)
wide = fig.add_subplot(outer[0, :])
wide.plot(np.cumsum(np.sin(np.arange(100))))
wide.set_title("wide")
big = fig.add_subplot(outer[1, 0])
big.imshow(np.outer(np.arange(10), np.arange(10)))
inner = outer[1, 1].subgridspec(3, 1)
for k in range(3):
    small = fig.add_subplot(inner[k])
    small.fill_between(range(8), np.arange(8) * (k + 1), step="mid", color=f"C{k}")
    small.tick_params(labelbottom=k == 2)
fig.align_labels()

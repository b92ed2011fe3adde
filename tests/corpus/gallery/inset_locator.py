"""Insets and attached colour bars from axes_grid1."""
import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.axes_grid1 import make_axes_locatable
from mpl_toolkits.axes_grid1.inset_locator import inset_axes

fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(8, 3.5))
image = ax1.imshow(np.arange(100).reshape(10, 10))
cax = make_axes_locatable(ax1).append_axes("right", size="5%", pad=0.05)
fig.colorbar(image, cax=cax)
ax2.plot(np.arange(10) ** 2)
small = inset_axes(ax2, width="35%", height="35%", loc="upper left", borderpad=2)
small.hist(np.arange(10) % 4, bins=4, color="grey")
small.tick_params(labelsize=6)

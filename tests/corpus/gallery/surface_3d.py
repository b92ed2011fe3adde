"""A surface in three dimensions with a contour below it."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cm
from matplotlib.ticker import LinearLocator

fig, ax = plt.subplots(subplot_kw={"projection": "3d"})
x, y = np.meshgrid(np.arange(-4, 4, 0.3), np.arange(-4, 4, 0.3))
z = np.sin(np.hypot(x, y))
surface = ax.plot_surface(x, y, z, cmap=cm.coolwarm, linewidth=0, antialiased=False)
ax.contour(x, y, z, zdir="z", offset=-2, cmap="coolwarm")
ax.set_zlim(-2, 1.01)
ax.zaxis.set_major_locator(LinearLocator(6))
ax.zaxis.set_major_formatter("{x:.02f}")
fig.colorbar(surface, shrink=0.5, aspect=8)

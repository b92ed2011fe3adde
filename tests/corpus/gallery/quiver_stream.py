"""Arrows and streamlines of one vector field."""
import matplotlib.pyplot as plt
import numpy as np

y, x = np.mgrid[-3:3:20j, -3:3:20j]
u = -1 - x**2 + y
v = 1 + x - y**2
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5))
arrows = left.quiver(x, y, u, v, np.hypot(u, v), cmap="plasma")
left.quiverkey(arrows, 0.85, 1.05, 10, "10 m/s", labelpos="E")
stream = right.streamplot(x, y, u, v, color=u, linewidth=1.2, cmap="autumn", density=0.8)
fig.colorbar(stream.lines, ax=right)

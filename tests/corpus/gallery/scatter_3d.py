"""Scatter and bars in three dimensions."""
import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d import Axes3D  # noqa: F401

rng = np.random.RandomState(1968)
fig = plt.figure(figsize=(9, 4))
ax = fig.add_subplot(121, projection="3d")
for marker, low, high in [("o", -50, -25), ("^", -30, -5)]:
    ax.scatter(rng.uniform(23, 32, 40), rng.uniform(0, 100, 40), rng.uniform(low, high, 40), marker=marker)
ax.set_xlabel("X")
ax.set_ylabel("Y")
ax.set_zlabel("Z")
ax.view_init(elev=25, azim=40)
bars = fig.add_subplot(122, projection="3d")
xs, ys = np.meshgrid(range(4), range(3))
bars.bar3d(xs.ravel(), ys.ravel(), np.zeros(12), 0.6, 0.6, (xs + ys).ravel() + 1, shade=True)

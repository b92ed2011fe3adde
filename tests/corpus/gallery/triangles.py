"""Unstructured grids: triangulation, tripcolor and tricontour."""
import matplotlib.pyplot as plt
import matplotlib.tri as tri
import numpy as np

radii = np.linspace(0.2, 1, 8)
angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)[:, None]
x = (radii * np.cos(angles)).ravel()
y = (radii * np.sin(angles)).ravel()
z = np.cos(radii * 3 + angles).ravel()
grid = tri.Triangulation(x, y)
grid.set_mask(np.hypot(x[grid.triangles].mean(axis=1), y[grid.triangles].mean(axis=1)) < 0.2)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.triplot(grid, lw=0.5)
left.tripcolor(grid, z, shading="gouraud")
right.tricontourf(grid, z, levels=8)
for ax in (left, right):
    ax.set_aspect("equal")

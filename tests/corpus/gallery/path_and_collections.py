"""Patches, paths, line and polygon collections, clipping."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Circle, PathPatch, Polygon, Wedge
from matplotlib.path import Path

fig, axes = plt.subplots(1, 3, figsize=(11, 3.5))
x = np.linspace(0, 3 * np.pi, 200)
points = np.array([x, np.sin(x)]).T.reshape(-1, 1, 2)
lines = LineCollection(np.concatenate([points[:-1], points[1:]], axis=1), cmap="viridis")
lines.set_array(np.cos(0.5 * (x[:-1] + x[1:])))
axes[0].add_collection(lines)
axes[0].autoscale()
shapes = [Circle((0.3, 0.7), 0.15), Wedge((0.7, 0.7), 0.2, 30, 270, width=0.08), Polygon([[0.1, 0.1], [0.5, 0.1], [0.3, 0.4]])]
axes[1].add_collection(PatchCollection(shapes, alpha=0.5, array=np.array([10, 50, 90])))
star = Path([(0.5, 1), (0.65, 0.4), (1, 0.4), (0.7, 0.2), (0.5, 0)], [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO])
axes[2].add_patch(PathPatch(star, facecolor="gold", lw=2))
print(star.contains_point((0.6, 0.5)), len(shapes))

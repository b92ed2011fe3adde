# mypy: ignore-errors
# A program as a job brings it; nothing here is typed.
import warnings

import matplotlib.pyplot as plt
import matplotlib.tri as mtri
import numpy as np
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.sankey import Sankey

warnings.simplefilter("always")
rng = np.random.default_rng(2)
g = np.linspace(-2, 2, 24)
X, Y = np.meshgrid(g, g)
Z = np.exp(-(X**2) - Y**2) - 0.5 * np.exp(-((X - 1) ** 2) - (Y - 1) ** 2)


def new(title, **kwargs):
    fig = plt.figure(figsize=(3, 2.4), dpi=60)
    ax = fig.add_subplot(**kwargs)
    ax.set_title(title)
    return ax


plt.colorbar(new("contourf").contourf(X, Y, Z, 8, cmap="RdBu"))
ax = new("contour")
ax.clabel(ax.contour(X, Y, Z, 6), fontsize=6)
new("quiver").quiver(X[::3, ::3], Y[::3, ::3], -Y[::3, ::3], X[::3, ::3])
new("streamplot").streamplot(X, Y, -Y, X, color=Z, density=0.6)
new("barbs").barbs(X[::6, ::6], Y[::6, ::6], 30 * X[::6, ::6], 30 * Y[::6, ::6])
new("imshow").imshow(Z, origin="lower", interpolation="bilinear", norm=TwoSlopeNorm(0))
new("matshow").matshow(Z)
new("pcolormesh").pcolormesh(X, Y, Z + 2, norm=LogNorm(), shading="gouraud")
plt.colorbar(new("hexbin").hexbin(*rng.normal(size=(2, 300)), gridsize=12), location="bottom")
new("spy").spy(np.eye(10))
new("specgram").specgram(rng.normal(size=600), NFFT=64, noverlap=16, Fs=100)
new("psd").psd(rng.normal(size=600), NFFT=64)
tri = mtri.Triangulation(rng.uniform(size=30), rng.uniform(size=30))
new("tripcolor").tripcolor(tri, rng.uniform(size=30))
new("triplot").triplot(tri)
new("polar", projection="polar").plot(np.linspace(0, 6.28, 60), np.abs(np.sin(np.linspace(0, 12.56, 60))))
new("windrose", projection="polar").bar(np.arange(0, 6.28, 0.8), np.arange(1, 9), width=0.7)
new("mollweide", projection="mollweide").grid(True)
plt.colorbar(new("surface", projection="3d").plot_surface(X, Y, Z, cmap="viridis"), shrink=0.6)
new("wireframe", projection="3d").plot_wireframe(X, Y, Z, rstride=3, cstride=3)
new("scatter3d", projection="3d").scatter(*rng.normal(size=(3, 40)), c=np.arange(40))
new("bar3d", projection="3d").bar3d([0, 1], [0, 1], [0, 0], 0.5, 0.5, [1, 2])
new("trisurf", projection="3d").plot_trisurf(tri, rng.uniform(size=30))
ax = new("sankey")
Sankey(ax=ax, flows=[1, -0.6, -0.4], labels=["in", "a", "b"], orientations=[0, 1, -1]).finish()

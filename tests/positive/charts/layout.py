# mypy: ignore-errors
# A program as a job brings it; nothing here is typed.
import datetime
import warnings

import matplotlib.dates as mdates
import matplotlib.patches as mpatches
import matplotlib.pyplot as plt
import matplotlib.ticker as mticker
import numpy as np
import pandas as pd
from matplotlib.path import Path as DrawPath
from mpl_toolkits.axes_grid1.inset_locator import inset_axes

warnings.simplefilter("always")
x = np.linspace(0, 5, 30)
plt.rcParams.update({"figure.figsize": (3.2, 2.4), "figure.dpi": 60})

fig, axes = plt.subplot_mosaic("AAB;CDD", layout="constrained")
for name, ax in axes.items():
    ax.plot(x, x ** (ord(name) - 64), label=name)
    ax.set_title(name)
fig.suptitle("mosaic")
fig, axes = plt.subplots(2, 2, sharex=True)
fig.suptitle("subplots")
fig.tight_layout()
fig, left = plt.subplots()
left.set_title("twin")
left.plot(x, np.exp(x), "r")
right = left.twinx()
right.plot(x, np.log(x + 1), "b")
left.secondary_xaxis("top", functions=(lambda v: v * 2, lambda v: v / 2))
days = [datetime.datetime(2024, 1, 1) + datetime.timedelta(days=i) for i in range(60)]
fig, ax = plt.subplots()
ax.set_title("dates")
ax.plot(days, np.cumsum(np.sin(np.arange(60))))
ax.xaxis.set_major_locator(mdates.AutoDateLocator())
ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(mdates.AutoDateLocator()))
fig.autofmt_xdate()
fig, ax = plt.subplots()
ax.set_title(r"$\frac{\partial u}{\partial t} = \alpha\nabla^2 u,\ \int_0^\infty e^{-x^2}dx=\frac{\sqrt{\pi}}{2}$")
ax.text(0.5, 0.5, r"$\mathcal{L} \hat{x} \sum_{i=1}^{n} x_i^2$", fontsize=14)
ax.set_xlabel(r"$\mathregular{CO_2}$ [µg·m$^{-3}$]")
fig, ax = plt.subplots()
ax.bar(["北京", "上海", "广州"], [-3, 5, 2])
ax.set_title("各城市销量（万元）")
ax.set_ylabel("增长率 −%")
ax.legend(["图例"])
fig, ax = plt.subplots()
ax.set_title("annotations")
ax.plot(x, np.sin(x))
ax.annotate("peak", (1.57, 1), (3, 0.5), arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=.3"})
ax.text(0.1, 0.1, "box", transform=ax.transAxes, bbox={"boxstyle": "round"}, rotation=30)
ax.axhline(0, ls=":")
ax.axvspan(1, 2, alpha=0.2)
ax.add_patch(mpatches.Ellipse((4, 0), 1, 0.5, color="g"))
ax.add_patch(mpatches.PathPatch(DrawPath([(0, 0), (1, 1), (2, 0)], [1, 3, 3]), fill=False))
fig, ax = plt.subplots()
ax.set_title("table")
ax.axis("off")
ax.table([["1", "2"], ["3", "4"]], colLabels=["a", "b"], rowLabels=["x", "y"], loc="center")
fig, ax = plt.subplots()
ax.plot(x, x)
inner = inset_axes(ax, "30%", "30%", loc=2)
inner.plot(x, x**2)
ax.indicate_inset([1, 1, 1, 1])
ax.set_title("inset")
ax.yaxis.set_major_formatter(mticker.PercentFormatter(5))
with plt.xkcd(randomness=0):
    fig, ax = plt.subplots()
    ax.plot(x, np.sin(x))
for style in ("ggplot", "dark_background", "seaborn-v0_8", "fivethirtyeight", "bmh"):
    with plt.style.context(style):
        plt.figure(figsize=(2, 1.5), dpi=60)
        plt.plot(x, x)
        plt.title(style)
frame = pd.DataFrame({"a": np.sin(x), "b": np.cos(x), "c": x}, index=pd.date_range("2024", periods=30))
for kind in ("line", "area", "hist", "box"):
    frame.abs().plot(kind=kind, title=f"pandas {kind}")
frame.head(3).abs().plot.bar(subplots=True)
frame.plot.scatter("a", "b", c="c", colormap="cool")
pd.plotting.scatter_matrix(frame, diagonal="hist")
pd.plotting.parallel_coordinates(frame.assign(k="z").head(4), "k")
pd.plotting.autocorrelation_plot(frame["a"], ax=plt.figure().gca())

"""Axes laid out by a picture of letters."""
import matplotlib.pyplot as plt
import numpy as np

axes = plt.figure(layout="constrained", figsize=(8, 5)).subplot_mosaic(
    """
    AAB
    CDB
    """,
    gridspec_kw={"width_ratios": [1, 1, 0.8]},
)
axes["A"].plot(np.sqrt(np.arange(50)), color="teal")
axes["B"].barh(["x", "y", "z"], [3, 1, 2])
axes["C"].scatter(np.arange(10), np.arange(10)[::-1], marker="x")
axes["D"].text(0.5, 0.5, r"$\int_0^1 x^2\,dx = \frac{1}{3}$", ha="center", va="center", fontsize=14)
for name, ax in axes.items():
    ax.set_title(name, loc="left", fontweight="bold")
print(sorted(axes))

"""Bubbles with size and colour legends."""
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(11)
n = 45
x, y = rng.random(n), rng.random(n)
group = rng.integers(1, 5, size=n)
size = rng.integers(10, 220, size=n)

fig, ax = plt.subplots()
points = ax.scatter(x, y, c=group, s=size, alpha=0.7, cmap="viridis", edgecolors="k", linewidths=0.4)
first = ax.legend(*points.legend_elements(), loc="lower left", title="class")
ax.add_artist(first)
handles, labels = points.legend_elements(prop="sizes", alpha=0.6, num=4)
ax.legend(handles, labels, loc="upper right", title="size")
print("largest bubble", int(size.max()))

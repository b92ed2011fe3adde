"""A pie with one slice pulled out, and a donut of two rings."""
import matplotlib.pyplot as plt
import numpy as np

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
sizes = [45, 25, 20, 10]
left.pie(sizes, labels=["rent", "food", "travel", "other"], autopct="%1.1f%%", explode=(0.08, 0, 0, 0), startangle=90)
left.axis("equal")
left.set_title("Budget")

outer = np.array([[30, 15], [10, 15], [18, 12]])
cmap = plt.colormaps["tab20c"]
right.pie(outer.sum(axis=1), radius=1, colors=cmap([0, 4, 8]), wedgeprops=dict(width=0.3, edgecolor="w"))
right.pie(outer.ravel(), radius=0.7, colors=cmap([1, 2, 5, 6, 9, 10]), wedgeprops=dict(width=0.3, edgecolor="w"))
right.set(aspect="equal", title="Two rings")

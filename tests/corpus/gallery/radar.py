"""A radar chart from a closed polygon on polar axes."""
import matplotlib.pyplot as plt
import numpy as np

labels = ["speed", "power", "range", "comfort", "price"]
cars = {"A": [4, 3, 5, 2, 4], "B": [3, 5, 2, 4, 3]}
angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False).tolist()
angles += angles[:1]

fig, ax = plt.subplots(subplot_kw={"polar": True}, figsize=(5, 5))
for name, scores in cars.items():
    closed = scores + scores[:1]
    ax.plot(angles, closed, linewidth=2, label=name)
    ax.fill(angles, closed, alpha=0.2)
ax.set_xticks(angles[:-1], labels)
ax.set_ylim(0, 5)
ax.legend(loc="upper right", bbox_to_anchor=(1.25, 1.1))

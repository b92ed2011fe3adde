"""A figure that is saved, changed after that, and left open."""
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4, 3))
ax.plot([1, 2, 3])
fig.savefig("before.png")
ax.set_title("changed after saving")
ax.axhline(2, color="r")

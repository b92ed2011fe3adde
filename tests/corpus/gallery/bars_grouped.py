"""Grouped bars with labels on top."""
import matplotlib.pyplot as plt
import numpy as np

teams = ["North", "East", "South", "West"]
plan = np.array([30, 42, 25, 38])
actual = np.array([28, 47, 31, 33])
pos = np.arange(len(teams))
width = 0.38

fig, ax = plt.subplots()
left = ax.bar(pos - width / 2, plan, width, label="plan", color="lightsteelblue")
right = ax.bar(pos + width / 2, actual, width, label="actual", color="tab:blue")
ax.bar_label(left, padding=2)
ax.bar_label(right, padding=2, fmt="%d")
ax.set_xticks(pos, teams)
ax.set_ylim(0, 55)
ax.legend(ncols=2)
ax.set_title("Plan and actual by region")
print("total plan", plan.sum(), "total actual", actual.sum())

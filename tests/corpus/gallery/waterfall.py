"""A waterfall chart with connecting lines."""
import matplotlib.pyplot as plt

steps = [("start", 120), ("sales", 45), ("returns", -18), ("costs", -52), ("other", 7)]
total = 0
fig, ax = plt.subplots(figsize=(7, 4))
for k, (name, change) in enumerate(steps):
    color = "steelblue" if k == 0 else ("seagreen" if change > 0 else "indianred")
    ax.bar(name, change, bottom=total if k else 0, color=color)
    ax.text(k, total + max(change, 0) + 2, f"{change:+d}", ha="center")
    ax.plot([k - 0.4, k + 1.4], [total + change] * 2, color="grey", lw=0.8)
    total += change
ax.bar("end", total, color="steelblue")
ax.set_ylim(0, 190)
print("end value:", total)

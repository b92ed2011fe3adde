"""A lollipop chart and a slope chart, spines off."""
import matplotlib.pyplot as plt

before = {"Ada": 61, "Ben": 74, "Cleo": 55, "Dag": 80}
after = {"Ada": 75, "Ben": 70, "Cleo": 68, "Dag": 88}
fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(8, 4))
names = sorted(after, key=after.get)
ax1.hlines(names, 0, [after[n] for n in names], color="skyblue")
ax1.plot([after[n] for n in names], names, "o", ms=10)
for name in before:
    gain = after[name] - before[name]
    ax2.plot([0, 1], [before[name], after[name]], marker="o", color="green" if gain > 0 else "red")
    ax2.text(-0.05, before[name], f"{name} {before[name]}", ha="right", va="center")
    ax2.text(1.05, after[name], f"{after[name]} ({gain:+d})", va="center")
ax2.set_xlim(-0.5, 1.5)
ax2.set_xticks([0, 1], ["before", "after"])
for side in ("top", "right", "left"):
    ax2.spines[side].set_visible(False)
ax2.get_yaxis().set_visible(False)

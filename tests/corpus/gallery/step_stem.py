"""Step and stem plots, and events."""
import matplotlib.pyplot as plt
import numpy as np

x = np.arange(14)
y = np.sin(x / 2)
fig, axes = plt.subplots(3, 1, figsize=(6, 7))
for k, where in enumerate(["pre", "post", "mid"]):
    axes[0].step(x, y + k, where=where, label=where)
    axes[0].plot(x, y + k, "o--", color="grey", alpha=0.3)
axes[0].legend(title="where=")
axes[1].stem(x, y, linefmt="grey", markerfmt="D", bottom=0.0)
axes[2].eventplot([[1, 2, 5, 9], [2, 3, 3.5], [0.5, 6, 7, 8]], colors=["C0", "C1", "C2"], lineoffsets=[0, 1, 2])
fig.tight_layout()

"""Two scales on one time axis, with coloured labels."""
import matplotlib.pyplot as plt
import numpy as np

t = np.arange(0.01, 10, 0.05)
fig, ax1 = plt.subplots()
ax1.set_xlabel("time (s)")
ax1.set_ylabel("exp", color="tab:red")
ax1.plot(t, np.exp(t), color="tab:red")
ax1.tick_params(axis="y", labelcolor="tab:red")
ax2 = ax1.twinx()
ax2.set_ylabel("sin", color="tab:blue")
ax2.plot(t, np.sin(2 * np.pi * t / 3), color="tab:blue")
ax2.tick_params(axis="y", labelcolor="tab:blue")
third = ax1.secondary_xaxis("top", functions=(lambda s: s / 60, lambda m: m * 60))
third.set_xlabel("time (min)")
fig.tight_layout()

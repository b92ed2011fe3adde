"""Error bars: symmetric, asymmetric, limits."""
import matplotlib.pyplot as plt
import numpy as np

x = np.arange(0.5, 5.5, 0.5)
y = np.exp(-x)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True)
axes[0].errorbar(x, y, yerr=0.05 + 0.1 * y, fmt="o", capsize=3)
axes[1].errorbar(x, y, xerr=0.2, yerr=[0.05 * x, 0.02 * x], fmt="s-", ecolor="grey", elinewidth=1)
axes[2].errorbar(x, y, yerr=0.08, uplims=x > 3, lolims=x < 1.5, linestyle="dotted")
axes[1].set_yscale("log", nonpositive="clip")
plt.show()

"""Line styles, markers and a legend outside the axes."""
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 10, 60)
styles = ["-", "--", "-.", ":"]
markers = ["o", "s", "^", None]

fig, ax = plt.subplots(figsize=(7, 4))
for k, (style, marker) in enumerate(zip(styles, markers)):
    ax.plot(x, np.sin(x + k / 2) + k, linestyle=style, marker=marker, markevery=6, label=f"shift {k / 2:.1f}")
ax.set_xlabel("time [s]")
ax.set_ylabel("signal")
ax.set_title("Four shifted sines")
ax.grid(alpha=0.3)
ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), title="series")
plt.show()

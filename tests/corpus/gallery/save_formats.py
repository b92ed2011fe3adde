"""One figure saved as PNG, JPEG, SVG and PDF, still open at the end."""
import os

import matplotlib.pyplot as plt
import numpy as np

fig, ax = plt.subplots(figsize=(4, 3))
ax.plot(np.cos(np.linspace(0, 12, 200)))
ax.set_title("Saved four ways")
for suffix in ("png", "jpg", "svg", "pdf"):
    fig.savefig(f"chart.{suffix}", dpi=80)
print([name for name in sorted(os.listdir(".")) if name.startswith("chart.")])

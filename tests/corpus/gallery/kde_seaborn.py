"""Kernel density estimates in one and two dimensions."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(5)
frame = pd.DataFrame({"x": rng.normal(size=150), "kind": np.repeat(["red", "blue", "grey"], 50)})
frame["y"] = frame["x"] * 0.6 + rng.normal(scale=0.5, size=150)

fig, axes = plt.subplots(1, 2, figsize=(9, 4))
sns.kdeplot(data=frame, x="x", hue="kind", fill=True, common_norm=False, alpha=0.4, ax=axes[0])
sns.kdeplot(data=frame, x="x", y="y", levels=6, cmap="mako", ax=axes[1])
axes[1].scatter(frame["x"], frame["y"], s=6, color="black", alpha=0.4)
plt.tight_layout()

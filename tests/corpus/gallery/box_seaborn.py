"""Seaborn's categorical kinds on one made-up frame."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

sns.set_theme(style="whitegrid", palette="Set2")
rng = np.random.default_rng(21)
frame = pd.DataFrame(
    {
        "day": np.tile(["Mon", "Tue", "Wed", "Thu"], 40),
        "shift": np.repeat(["early", "late"], 80),
        "units": rng.gamma(4, 6, 160).round(1),
    }
)
fig, axes = plt.subplots(2, 2, figsize=(10, 8))
sns.boxplot(data=frame, x="day", y="units", hue="shift", ax=axes[0, 0])
sns.violinplot(data=frame, x="day", y="units", hue="shift", split=True, inner="quart", ax=axes[0, 1])
sns.stripplot(data=frame, x="day", y="units", hue="shift", dodge=True, jitter=False, ax=axes[1, 0])
sns.pointplot(data=frame, x="day", y="units", hue="shift", errorbar=None, ax=axes[1, 1])
fig.suptitle("Units by day and shift")
fig.tight_layout()
print(frame.groupby(["day", "shift"])["units"].mean().round(2).to_string())

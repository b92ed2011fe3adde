"""Stacked bars with shares written inside."""
import matplotlib.pyplot as plt
import numpy as np

shares = {
    "coal": [40, 35, 28, 20],
    "gas": [30, 30, 31, 30],
    "wind": [15, 20, 24, 30],
    "solar": [15, 15, 17, 20],
}
years = ["2010", "2014", "2018", "2022"]
bottom = np.zeros(len(years))
fig, ax = plt.subplots(figsize=(6, 4.5))
for name, values in shares.items():
    bars = ax.bar(years, values, 0.6, bottom=bottom, label=name)
    ax.bar_label(bars, label_type="center", color="white", fontsize=8)
    bottom += np.array(values)
ax.set_ylabel("share of supply [%]")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.tight_layout()
plt.show()

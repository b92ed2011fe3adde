"""A table below bars."""
import matplotlib.pyplot as plt
import numpy as np

data = [[66, 174, 66], [58, 381, 139], [89, 80, 152]]
columns = ("freeze", "wind", "flood")
rows = ["100 year", "50 year", "20 year"]
colors = plt.cm.BuPu(np.linspace(0.2, 0.6, len(rows)))
offset = np.zeros(len(columns))
fig, ax = plt.subplots(figsize=(6, 4))
for row in range(len(rows)):
    ax.bar(np.arange(3) + 0.3, data[row], 0.4, bottom=offset, color=colors[row])
    offset += data[row]
ax.table(cellText=data, rowLabels=rows, rowColours=colors, colLabels=columns, loc="bottom")
plt.subplots_adjust(left=0.2, bottom=0.25)
ax.set_xticks([])

"""An annotated heatmap by hand: imshow, colorbar and text that stays readable."""
import matplotlib.pyplot as plt
import numpy as np

crops = ["lettuce", "carrot", "tomato", "barley"]
farms = ["Abel", "Bora", "Cole", "Dunn", "Eyre"]
harvest = np.arange(20).reshape(4, 5) * 1.7 % 9

fig, ax = plt.subplots()
image = ax.imshow(harvest, cmap="YlGn")
bar = fig.colorbar(image, ax=ax)
bar.ax.set_ylabel("t per ha", rotation=-90, va="bottom")
ax.set_xticks(range(len(farms)), labels=farms, rotation=45, ha="right", rotation_mode="anchor")
ax.set_yticks(range(len(crops)), labels=crops)
threshold = image.norm(harvest.max()) / 2
for i in range(len(crops)):
    for j in range(len(farms)):
        colour = "white" if image.norm(harvest[i, j]) > threshold else "black"
        ax.text(j, i, f"{harvest[i, j]:.1f}", ha="center", va="center", color=colour)
fig.tight_layout()
plt.show()

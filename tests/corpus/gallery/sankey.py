"""Flows with matplotlib's own Sankey."""
import matplotlib.pyplot as plt
from matplotlib.sankey import Sankey

fig = plt.figure(figsize=(7, 5))
ax = fig.add_subplot(1, 1, 1, xticks=[], yticks=[], title="Energy")
sankey = Sankey(ax=ax, scale=0.01, offset=0.2, head_angle=120, format="%.0f", unit="%")
sankey.add(
    flows=[25, 0, 60, -10, -20, -5, -15, -10, -40],
    labels=["", "", "", "first", "second", "third", "fourth", "fifth", "heat"],
    orientations=[-1, 1, 0, 1, 1, 1, -1, -1, 0],
    pathlengths=[0.25] * 9,
    patchlabel="plant",
)
diagrams = sankey.finish()
diagrams[0].text.set_fontweight("bold")
print(len(diagrams), "diagram")

"""An animation written as GIF through Pillow."""
import os

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter

fig, ax = plt.subplots(figsize=(2.5, 2.5))
ax.set_xlim(0, 5)
ax.set_ylim(0, 5)
(dot,) = ax.plot([], [], "ro")


def move(k):
    dot.set_data([k], [k])
    return (dot,)


FuncAnimation(fig, move, frames=5).save("dot.gif", writer=PillowWriter(fps=5))
plt.close(fig)
print("gif written:", os.path.getsize("dot.gif") > 1000)

"""An animation saved as single frames."""
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

fig, ax = plt.subplots(figsize=(3, 2))
x = np.linspace(0, 2 * np.pi, 100)
(line,) = ax.plot(x, np.sin(x))


def update(frame):
    line.set_ydata(np.sin(x + frame * np.pi / 3))
    return (line,)


animation = FuncAnimation(fig, update, frames=4, blit=True)
os.makedirs("frames", exist_ok=True)
for frame in range(4):
    animation._func(frame)
    fig.savefig(f"frames/frame_{frame:02d}.png", dpi=60)
animation._draw_was_started = True
plt.close(fig)
print(sorted(os.listdir("frames")))

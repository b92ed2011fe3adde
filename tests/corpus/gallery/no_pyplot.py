"""The object interface without pyplot: no figure is registered, the file is all there is."""
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

fig = Figure(figsize=(4, 3))
canvas = FigureCanvasAgg(fig)
ax = fig.subplots()
ax.plot(np.arange(10), np.arange(10) ** 0.5)
canvas.print_figure("plain.png")
pixels = np.asarray(canvas.buffer_rgba())
print(pixels.shape, pixels.dtype)

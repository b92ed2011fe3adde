# mypy: ignore-errors
# A program as a job brings it; nothing here is typed.
import io
import warnings

import matplotlib.animation as animation
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

warnings.simplefilter("always")
x = np.linspace(0, 6, 40)
fig, ax = plt.subplots(figsize=(3, 2), dpi=60)
ax.plot(x, np.sin(x), label="正弦")
ax.legend()
for name in ("a.png", "a.svg", "a.pdf", "a.jpg", "b.jpeg"):
    fig.savefig(name)
fig.savefig("sub.png", bbox_inches="tight", transparent=True, dpi=90)
fig.savefig("low.jpg", pil_kwargs={"quality": 40})
for kind in ("eps", "ps", "webp", "tiff", "svgz", "raw", "pgf"):
    try:
        fig.savefig(f"a.{kind}")
        print(kind, "saved")
    except Exception as problem:
        print(kind, type(problem).__name__)
with PdfPages("pages.pdf") as pages:
    pages.savefig(fig)
    pages.savefig(fig)
    pages.infodict()["Title"] = "two pages"
buffer = io.BytesIO()
fig.savefig(buffer, format="png")
print(buffer.getvalue()[:4])
own = Figure(figsize=(2, 2), dpi=60)
FigureCanvasAgg(own)
own.add_subplot().imshow(np.eye(4))
own.savefig("no_pyplot.png")
fig2, ax2 = plt.subplots(figsize=(2, 1.5), dpi=60)
(line,) = ax2.plot(x, np.sin(x))


def step(i):
    line.set_ydata(np.sin(x + i))
    return (line,)


moving = animation.FuncAnimation(fig2, step, frames=4, blit=True)
moving.save("moving.gif", writer=animation.PillowWriter(fps=5))
print(len(moving.to_jshtml()) > 1000)
print(animation.writers.list())
plt.figure(figsize=(2, 2), dpi=60)
plt.plot([1, 2], [1, 2])
plt.savefig("kept.png")
plt.title("changed afterwards")
print(plt.imread("a.png").shape)
plt.imsave("array.png", np.eye(8))

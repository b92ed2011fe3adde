"""A treemap by slicing and dicing, no extra library."""
import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle


def slice_up(items, x, y, width, height, horizontal=True):
    total = sum(size for _, size in items)
    for name, size in items:
        share = size / total
        if horizontal:
            yield name, size, (x, y, width * share, height)
            x += width * share
        else:
            yield name, size, (x, y, width, height * share)
            y += height * share


tree = {"docs": [("a", 4), ("b", 6)], "code": [("x", 12), ("y", 8), ("z", 5)], "media": [("p", 20)]}
fig, ax = plt.subplots(figsize=(6, 4))
top = [(name, sum(size for _, size in children)) for name, children in tree.items()]
for k, (name, size, (x, y, w, h)) in enumerate(slice_up(top, 0, 0, 100, 100)):
    for child, child_size, (cx, cy, cw, ch) in slice_up(tree[name], x, y, w, h, horizontal=False):
        ax.add_patch(Rectangle((cx, cy), cw, ch, facecolor=f"C{k}", edgecolor="white"))
        ax.text(cx + cw / 2, cy + ch / 2, f"{name}/{child}\n{child_size}", ha="center", va="center", fontsize=8)
ax.set(xlim=(0, 100), ylim=(0, 100))
ax.axis("off")

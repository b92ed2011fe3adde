# mypy: ignore-errors
# A program as a job brings it; nothing here is typed.
import warnings

import matplotlib.pyplot as plt
import numpy as np

warnings.simplefilter("always")
rng = np.random.default_rng(1)
x = np.linspace(0, 6, 40)
GROUPS = [rng.normal(i, 1, 40) for i in range(3)]


def new(title, **kwargs):
    _, ax = plt.subplots(figsize=(3, 2.2), dpi=60, **kwargs)
    ax.set_title(title)
    return ax


ax = new("line")
ax.plot(x, np.sin(x), "o-", label="sin")
ax.plot(x, np.cos(x), "--", label="cos")
ax.legend()
ax.grid(True)
new("bar").bar(["a", "b", "c"], [3, 1, 2], yerr=[0.1, 0.2, 0.3], hatch="//", edgecolor="k")
ax = new("barh")
ax.bar_label(ax.barh(["a", "b"], [3, 5]))
new("hist").hist(GROUPS, bins=12, stacked=True, density=True)
new("hist2d").hist2d(GROUPS[0], GROUPS[1], bins=8)
plt.colorbar(new("scatter").scatter(x, np.sin(x), c=x, s=x * 20, alpha=0.5, cmap="viridis"))
new("pie").pie([3, 2, 1], labels=["a", "b", "c"], autopct="%1.0f%%", explode=(0, 0.1, 0), wedgeprops={"width": 0.5})
new("box").boxplot(GROUPS, notch=True, patch_artist=True)
new("violin").violinplot(GROUPS, showmedians=True)
new("step").step(x, np.sin(x), where="mid")
new("stem").stem(x[::4], np.sin(x[::4]))
new("errorbar").errorbar(x[::4], np.sin(x[::4]), yerr=0.2, xerr=0.1, capsize=3)
new("fill").fill_between(x, np.sin(x), alpha=0.3)
new("stackplot").stackplot(x, np.abs(np.sin(x)), np.abs(np.cos(x)), labels=["a", "b"])
new("eventplot").eventplot([[1, 2, 4], [2, 3]])
new("broken_barh").broken_barh([(1, 2), (4, 1)], (0, 1))
new("stairs").stairs([1, 3, 2])
new("ecdf").ecdf(GROUPS[0])
new("loglog").loglog(x + 1, np.exp(x))
ax = new("symlog")
ax.plot(x - 3, (x - 3) ** 3)
ax.set_yscale("symlog")

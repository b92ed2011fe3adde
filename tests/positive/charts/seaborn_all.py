# mypy: ignore-errors
# A program as a job brings it; nothing here is typed.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

warnings.simplefilter("always")
rng = np.random.default_rng(3)
n = 60
d = pd.DataFrame({
    "x": rng.normal(size=n), "y": rng.normal(size=n), "g": rng.choice(list("ab"), n), "k": rng.choice(list("uvw"), n),
    "t": np.tile(np.arange(10), 6),
})  # fmt: skip
np.random.seed(5)  # strips are jittered by it
sns.set_theme(rc={"figure.dpi": 50, "figure.figsize": (2.6, 2)})
SMALL = {"height": 1.6}
sns.relplot(d, x="x", y="y", hue="g", col="k", **SMALL)
sns.relplot(d, x="t", y="y", kind="line", errorbar=("ci", 95), n_boot=50, seed=1, **SMALL)
for kind in ("strip", "swarm", "box", "violin", "boxen", "point", "bar", "count"):
    more = {"n_boot": 50, "seed": 1} if kind in ("point", "bar") else {}
    sns.catplot(d, x="k", y=None if kind == "count" else "y", hue="g", kind=kind, **more, **SMALL)
for kind in ("hist", "ecdf", "kde"):
    sns.displot(d, x="x", hue="g", kind=kind, rug=True, **SMALL)
sns.displot(d, x="x", y="y", kind="kde", fill=True, **SMALL)
sns.pairplot(d[["x", "y", "g"]], hue="g", height=1.1)
sns.jointplot(d, x="x", y="y", kind="hex", height=2)
sns.jointplot(d, x="x", y="y", kind="reg", n_boot=50, seed=1, height=2)
sns.lmplot(d, x="x", y="y", hue="g", n_boot=50, seed=1, **SMALL)
plt.figure()
sns.residplot(d, x="x", y="y")
plt.figure()
sns.regplot(d, x="x", y="y", order=2, n_boot=50, seed=1)
plt.figure()
sns.heatmap(d[["x", "y", "t"]].corr(), annot=True, fmt=".2f", cmap="coolwarm", mask=np.triu(np.ones((3, 3), bool), 1))
sns.FacetGrid(d, col="g", height=1.5).map_dataframe(sns.histplot, x="x").add_legend()
sns.PairGrid(d[["x", "y"]], height=1.2).map_diag(sns.histplot).map_offdiag(sns.scatterplot)
plt.figure()
sns.histplot(d, x="x", y="y", cbar=True)
sns.color_palette("rocket", as_cmap=True)
sns.despine()
try:
    sns.clustermap(d[["x", "y", "t"]].head(12), figsize=(2.5, 2.5))
except RuntimeError as problem:
    print(problem)  # there is no scipy

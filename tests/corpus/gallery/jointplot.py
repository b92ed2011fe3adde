"""A joint plot with marginal histograms."""
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(17)
x = rng.gamma(2, size=300)
frame = pd.DataFrame({"wait": x, "cost": -0.5 * x + rng.normal(size=300)})
grid = sns.jointplot(data=frame, x="wait", y="cost", kind="hex", color="#4CB391", height=5)
grid.figure.suptitle("wait and cost", y=1.02)
print(round(float(frame["wait"].corr(frame["cost"])), 4))

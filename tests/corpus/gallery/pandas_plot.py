"""What pandas draws by itself: line, area, bar, box, hist, scatter matrix."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from pandas.plotting import scatter_matrix

rng = np.random.default_rng(4)
frame = pd.DataFrame(rng.random((12, 3)), columns=["a", "b", "c"], index=pd.period_range("2022-01", periods=12, freq="M"))
fig, axes = plt.subplots(2, 2, figsize=(9, 7))
frame.plot(ax=axes[0, 0], style=["-", "--", ":"], title="line")
frame.plot.area(ax=axes[0, 1], alpha=0.5, title="area")
frame.head(4).plot.bar(ax=axes[1, 0], stacked=True, rot=0, title="bar")
frame.plot.box(ax=axes[1, 1], title="box")
fig.tight_layout()
scatter_matrix(frame, figsize=(5, 5), diagonal="hist")
print(frame.sum().round(4).to_dict())

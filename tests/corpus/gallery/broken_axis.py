"""An axis with a gap for two outliers."""
import matplotlib.pyplot as plt
import numpy as np

points = np.array([0.02, 0.05, 0.11, 0.09, 0.14, 0.07, 0.03, 0.12, 0.81, 0.10, 0.06, 0.93, 0.08])
fig, (upper, lower) = plt.subplots(2, 1, sharex=True, gridspec_kw={"hspace": 0.05})
for ax in (upper, lower):
    ax.plot(points, "o-")
upper.set_ylim(0.75, 1.0)
lower.set_ylim(0, 0.2)
upper.spines.bottom.set_visible(False)
lower.spines.top.set_visible(False)
upper.xaxis.tick_top()
upper.tick_params(labeltop=False)
lower.xaxis.tick_bottom()
slash = dict(marker=[(-1, -0.5), (1, 0.5)], markersize=12, linestyle="none", color="k", mec="k", mew=1, clip_on=False)
upper.plot([0, 1], [0, 0], transform=upper.transAxes, **slash)
lower.plot([0, 1], [1, 1], transform=lower.transAxes, **slash)

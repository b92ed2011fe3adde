"""Pair plot of three variables and two groups."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(2)
group = np.repeat(["wild", "garden"], 30)
length = rng.normal(5, 0.5, 60) + (group == "garden") * 1.2
frame = pd.DataFrame({"group": group, "length": length, "width": length * 0.4 + rng.normal(0, 0.2, 60)})
frame["ratio"] = frame["length"] / frame["width"]
sns.pairplot(frame, hue="group", diag_kind="hist", height=1.8, markers=["o", "D"])
plt.show()
print(frame.describe().round(2).to_string())

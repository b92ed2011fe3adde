"""A correlation matrix with the upper triangle masked."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(33)
base = rng.normal(size=(200, 1))
frame = pd.DataFrame(base + rng.normal(scale=[0.3, 0.8, 1.5, 2, 4], size=(200, 5)), columns=list("ABCDE"))
correlation = frame.corr()
mask = np.triu(np.ones_like(correlation, dtype=bool), k=1)
plt.figure(figsize=(6, 5))
sns.heatmap(correlation, mask=mask, annot=True, fmt=".2f", cmap="coolwarm", vmin=-1, vmax=1, square=True, linewidths=0.5)
plt.title("Correlation")
print(correlation.round(3))

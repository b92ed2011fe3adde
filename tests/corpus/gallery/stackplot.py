"""A stack plot and a stream graph."""
import matplotlib.pyplot as plt
import numpy as np

year = [1950, 1960, 1970, 1980, 1990, 2000, 2010, 2018]
population = {
    "africa": [0.228, 0.284, 0.365, 0.477, 0.631, 0.814, 1.044, 1.275],
    "americas": [0.340, 0.425, 0.519, 0.619, 0.727, 0.840, 0.943, 1.006],
    "asia": [1.394, 1.686, 2.120, 2.625, 3.202, 3.714, 4.169, 4.560],
}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.stackplot(year, population.values(), labels=population.keys(), alpha=0.8)
left.legend(loc="upper left", reverse=True)
x = np.linspace(0, 10, 100)
layers = [np.exp(-((x - c) ** 2)) + 0.1 for c in (2, 4, 5, 8)]
right.stackplot(x, layers, baseline="wiggle")
right.axhline(0, color="black", ls="--")

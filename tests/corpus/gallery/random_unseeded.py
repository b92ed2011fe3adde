"""Unseeded noise: every run draws another picture."""
import matplotlib.pyplot as plt
import numpy as np

plt.plot(np.random.randn(100).cumsum())
plt.title("Random walk")
print("points: 100")

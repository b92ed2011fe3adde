"""The exception comes from inside a library; the last user line is what matters."""
import matplotlib.pyplot as plt
import numpy as np

fig, ax = plt.subplots()
ax.plot(np.arange(5), np.arange(5))
ax.plot(np.arange(5), np.arange(4))

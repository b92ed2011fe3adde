"""A window backend asked for by name."""
import matplotlib

matplotlib.use("TkAgg")
import matplotlib.pyplot as plt

plt.plot([1, 2])
print("drawn")

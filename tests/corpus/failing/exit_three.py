"""A script that ends itself with a code; its figure is still wanted."""
import sys

import matplotlib.pyplot as plt

plt.plot([1, 3, 2])
print("leaving")
sys.exit(3)

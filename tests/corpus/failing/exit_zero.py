"""sys.exit(0) after the work is a good end."""
import sys

import matplotlib.pyplot as plt

plt.pie([1, 2, 3])
print("good end")
sys.exit(0)

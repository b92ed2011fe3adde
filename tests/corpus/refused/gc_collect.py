"""Freeing memory by hand between charts."""
import gc

import matplotlib.pyplot as plt

for k in range(2):
    plt.figure(figsize=(3, 2))
    plt.plot([k, 1])
    plt.close()
    gc.collect()
print("cleaned")

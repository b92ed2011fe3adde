"""Log, symlog and logit scales with minor grids."""
import matplotlib.pyplot as plt
import numpy as np

x = np.logspace(-2, 3, 60)
fig, axes = plt.subplots(2, 2, figsize=(8, 6))
axes[0, 0].loglog(x, x**1.5)
axes[0, 0].grid(True, which="both", lw=0.3)
axes[0, 1].semilogx(x, np.log10(x))
axes[1, 0].plot(np.linspace(-100, 100, 201), np.linspace(-100, 100, 201) ** 3)
axes[1, 0].set_yscale("symlog", linthresh=10)
p = np.linspace(0.01, 0.99, 99)
axes[1, 1].plot(p, p)
axes[1, 1].set_yscale("logit")
plt.tight_layout()

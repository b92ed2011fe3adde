"""Formatters: money, percent, engineering, thousands; rotated and minor ticks."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import AutoMinorLocator, EngFormatter, FuncFormatter, MultipleLocator, PercentFormatter

fig, axes = plt.subplots(2, 2, figsize=(8, 6), layout="tight")
axes[0, 0].bar(range(4), [1.5e6, 2.5e6, 5.5e6, 2.0e7])
axes[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value * 1e-6:1.1f}M"))
axes[0, 1].plot(np.linspace(0, 1, 20) ** 2)
axes[0, 1].yaxis.set_major_formatter(PercentFormatter(1.0))
axes[1, 0].semilogx(np.logspace(1, 9, 50), np.arange(50))
axes[1, 0].xaxis.set_major_formatter(EngFormatter(unit="Hz"))
axes[1, 1].plot(np.arange(-20, 20) * 100)
axes[1, 1].yaxis.set_major_formatter("{x:,.0f}")
axes[1, 1].xaxis.set_major_locator(MultipleLocator(8))
axes[1, 1].xaxis.set_minor_locator(AutoMinorLocator(4))
axes[1, 1].tick_params(which="minor", length=4, color="r")

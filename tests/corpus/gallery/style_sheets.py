"""The same chart in several style sheets, one figure each."""
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 6, 50)
for style in ["default", "ggplot", "dark_background", "seaborn-v0_8-whitegrid"]:
    with plt.style.context(style):
        fig, ax = plt.subplots(figsize=(4, 3))
        for k in range(3):
            ax.plot(x, np.sin(x + k), label=str(k))
        ax.set_title(style)
        ax.legend()
print(plt.get_fignums())

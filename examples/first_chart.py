"""A chart with Chinese and Latin text and temperatures below zero. Run it with: warmfork run examples/first_chart.py

This is what a language model would send: plain matplotlib, no font settings. The figure is left open, and every open
figure comes back. The temperatures are rounded long-term means, good enough for a picture.
"""

import matplotlib.pyplot as plt
import numpy as np

MEANS_C = {  # January to December
    "哈尔滨 Harbin": [-18, -12, -3, 8, 16, 21, 23, 22, 15, 6, -6, -15],
    "北京 Beijing": [-3, 1, 8, 15, 21, 25, 27, 26, 21, 14, 5, -1],
    "上海 Shanghai": [5, 7, 10, 16, 21, 25, 29, 28, 25, 20, 14, 7],
    "广州 Guangzhou": [14, 16, 19, 23, 26, 28, 29, 29, 28, 25, 20, 16],
}
COLORS = ["#2b6cb0", "#319795", "#d69e2e", "#c53030"]
INK, GREY = "#1a202c", "#718096"

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "text.color": INK})
figure, (year, january) = plt.subplots(1, 2, figsize=(11, 4.6), dpi=150, width_ratios=[2.3, 1], layout="constrained")
figure.suptitle("四城气温 — Temperature in four Chinese cities", fontsize=17, x=0.012, ha="left")

months = np.arange(1, 13)
for (city, means), color in zip(MEANS_C.items(), COLORS, strict=True):
    year.plot(months, means, color=color, linewidth=2.4, marker="o", markersize=4)
    year.annotate(city, (12, means[-1]), xytext=(14, 0), textcoords="offset points", color=color, va="center")
year.axhspan(-24, 0, color="#ebf4fb", zorder=0)
year.text(6.5, -22.8, "冰点以下 below freezing", color=GREY, ha="center")
year.axhline(0, color=GREY, linewidth=0.8)
year.set(xlim=(0.7, 12.3), ylim=(-24, 33), xticks=months, xlabel="月份 month", ylabel="月平均气温 monthly mean (°C)")
year.grid(axis="y", color="#e2e8f0")

cities = [city.split()[0] for city in MEANS_C][::-1]
coldest = [means[0] for means in MEANS_C.values()][::-1]
bars = january.barh(cities, coldest, color=COLORS[::-1], height=0.6)
january.bar_label(bars, labels=[f"{value:+d} °C".replace("-", "\N{MINUS SIGN}") for value in coldest], padding=4)
january.axvline(0, color=GREY, linewidth=0.8)
january.set(xlim=(-37, 28), xticks=(-20, 0, 20), xlabel="一月 January (°C)")
january.spines["left"].set_visible(False)
january.tick_params(axis="y", length=0)

print("最冷 coldest:", min(MEANS_C, key=lambda city: MEANS_C[city][0]), min(coldest), "°C")

"""Dates on the axis: month locators, concise formatter, weekly resampling by pandas."""
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

index = pd.date_range("2023-01-01", periods=180, freq="D")
series = pd.Series(np.sin(np.arange(180) / 20) * 10 + np.arange(180) * 0.1, index=index)
weekly = series.resample("W").mean()
fig, (ax1, ax2) = plt.subplots(2, 1, figsize=(8, 6))
ax1.plot(series.index, series.values, lw=0.8)
ax1.xaxis.set_major_locator(mdates.MonthLocator())
ax1.xaxis.set_major_formatter(mdates.DateFormatter("%b %Y"))
fig.autofmt_xdate(rotation=30)
ax2.plot(weekly.index, weekly.values, marker=".")
ax2.xaxis.set_major_formatter(mdates.ConciseDateFormatter(ax2.xaxis.get_major_locator()))
print(weekly.head(3).round(3).to_string())

"""Candlesticks by hand from vlines and bars, volume below."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

rng = np.random.default_rng(77)
days = pd.bdate_range("2023-03-01", periods=30)
close = 100 + rng.normal(0, 1.5, 30).cumsum()
frame = pd.DataFrame({"open": np.r_[100, close[:-1]], "close": close}, index=days)
frame["high"] = frame[["open", "close"]].max(axis=1) + rng.random(30)
frame["low"] = frame[["open", "close"]].min(axis=1) - rng.random(30)
frame["volume"] = rng.integers(100, 900, 30)
frame["ma5"] = frame["close"].rolling(5).mean()

fig, (price, volume) = plt.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]}, figsize=(8, 5))
up = frame["close"] >= frame["open"]
x = np.arange(len(frame))
for rows, color in [(up, "green"), (~up, "red")]:
    price.vlines(x[rows], frame["low"][rows], frame["high"][rows], color=color, lw=1)
    price.bar(x[rows], (frame["close"] - frame["open"])[rows], 0.6, bottom=frame["open"][rows], color=color)
    volume.bar(x[rows], frame["volume"][rows], color=color, alpha=0.6)
price.plot(x, frame["ma5"], color="orange")
volume.set_xticks(x[::5], [day.strftime("%m-%d") for day in days[::5]])
print(f"up days: {int(up.sum())}, last close {close[-1]:.2f}")

"""A Gantt chart with dates and groups."""
from datetime import date, timedelta

import matplotlib.dates as mdates
import matplotlib.pyplot as plt

tasks = [
    ("design", date(2024, 1, 8), 12, "plan"),
    ("prototype", date(2024, 1, 17), 20, "build"),
    ("review", date(2024, 2, 5), 5, "plan"),
    ("production", date(2024, 2, 10), 30, "build"),
]
palette = {"plan": "#4477aa", "build": "#ee6677"}
fig, ax = plt.subplots(figsize=(8, 3))
for row, (name, start, days, group) in enumerate(tasks):
    ax.barh(row, days, left=mdates.date2num(start), color=palette[group], height=0.5)
    ax.text(mdates.date2num(start) + days / 2, row, f"{days} d", ha="center", va="center", color="white")
ax.set_yticks(range(len(tasks)), [task[0] for task in tasks])
ax.invert_yaxis()
ax.xaxis_date()
ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
print("last day:", max(start + timedelta(days=days) for _, start, days, _ in tasks).isoformat())

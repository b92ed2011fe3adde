import os
import matplotlib.pyplot as plt
import pandas as pd

output_dir = "charts"
os.makedirs(output_dir, exist_ok=True)

df = pd.DataFrame({
    "region": ["Asia", "Europe", "America", "Africa"],
    "2021": [45, 38, 41, 12],
    "2022": [52, 40, 44, 15],
    "2023": [61, 43, 49, 19],
}).set_index("region")

saved_files = []
for i, (region, row) in enumerate(df.iterrows(), 1):
    plt.figure(figsize=(6, 4))
    plt.plot(row.index, row.values, marker="o", linewidth=2)
    for x, v in zip(row.index, row.values):
        plt.annotate(str(v), (x, v), textcoords="offset points", xytext=(0, 8), ha="center")
    plt.title(f"{region} sales trend")
    plt.ylim(0, max(row.values) * 1.2)
    plt.grid(True, linestyle="--", alpha=0.5)
    path = os.path.join(output_dir, f"chart_{i}_{region.lower()}.png")
    plt.savefig(path, dpi=90, bbox_inches="tight")
    plt.close()
    saved_files.append(path)

print(f"Generated {len(saved_files)} charts:")
for path in saved_files:
    print(f"  - {path} ({'ok' if os.path.exists(path) else 'missing'})")

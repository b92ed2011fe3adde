"""Horizontal bars, sorted, with error whiskers and inverted axis."""
import matplotlib.pyplot as plt

results = {"parser": (3.2, 0.3), "lexer": (1.1, 0.1), "optimizer": (7.8, 0.9), "linker": (4.4, 0.5)}
ordered = sorted(results.items(), key=lambda item: -item[1][0])
names = [name for name, _ in ordered]
means = [mean for _, (mean, _) in ordered]
errors = [error for _, (_, error) in ordered]

plt.figure(figsize=(6, 3))
plt.barh(names, means, xerr=errors, color="seagreen", ecolor="black", capsize=4)
plt.gca().invert_yaxis()
plt.xlabel("seconds")
plt.title("Compile phases")
for name in names:
    print(f"{name:10s} {results[name][0]:5.2f} s")

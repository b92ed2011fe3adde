import random
import statistics
import time

import matplotlib.pyplot as plt

random.seed(2024)
start_time = time.time()


def simulate(n_paths=60, n_steps=100, mu=0.0005, sigma=0.02, start=100.0):
    paths = []
    for _ in range(n_paths):
        price, path = start, [start]
        for _ in range(n_steps):
            price *= 1 + random.gauss(mu, sigma)
            path.append(price)
        paths.append(path)
    return paths


paths = simulate()
final = [p[-1] for p in paths]
plt.figure(figsize=(10, 5))
for p in paths:
    plt.plot(p, color='gray', alpha=0.25, linewidth=0.7)
plt.plot([statistics.fmean(c) for c in zip(*paths)], color='red', linewidth=2, label='mean')
plt.xlabel('Day')
plt.ylabel('Price')
plt.title('Monte Carlo Simulation')
plt.legend()
plt.savefig('monte_carlo.png', dpi=100)
plt.show()

elapsed = time.time() - start_time
assert elapsed < 60
print(f"mean={statistics.fmean(final):.4f} stdev={statistics.stdev(final):.4f}")
print(f"median={statistics.median(final):.4f} p5={sorted(final)[3]:.4f}")

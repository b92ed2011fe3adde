"""A bank with two counters, as an event simulation; a histogram of waiting times."""
import heapq
import random

import matplotlib.pyplot as plt

random.seed(5)
arrivals, clock = [], 0.0
for customer in range(200):
    clock += random.expovariate(1.0)
    arrivals.append((clock, customer))
free_at = [0.0, 0.0]
heapq.heapify(free_at)
waits = []
for arrival, customer in arrivals:
    ready = heapq.heappop(free_at)
    begin = max(ready, arrival)
    waits.append(begin - arrival)
    heapq.heappush(free_at, begin + random.uniform(0.5, 2.5))
print(f"mean wait {sum(waits) / len(waits):.6f}, longest {max(waits):.6f}, at once {sum(w == 0 for w in waits)}")
plt.hist(waits, bins=20)
plt.xlabel("minutes")
plt.title("Waiting times")

import matplotlib.pyplot as plt
import numpy as np

plt.ioff()
with plt.ioff():
    fig = plt.figure(figsize=(5, 3))
    plt.plot(np.arange(5) ** 2)
plt.ion()
plt.show(block=False)
plt.pause(0.001)
print("interactive backend:", plt.get_backend().lower())
plt.ioff()
plt.figure(figsize=(5, 3))
plt.step(range(5), [3, 1, 2, 2, 4])
plt.show(block=True)
print("figures:", len(plt.get_fignums()))

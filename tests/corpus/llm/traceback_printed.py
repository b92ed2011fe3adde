import traceback

import matplotlib.pyplot as plt


def risky(n):
    if n > 2:
        raise RuntimeError(f"n too large: {n}")
    return n * 2


for n in range(4):
    try:
        print("result:", risky(n))
    except RuntimeError:
        print("failed with:", traceback.format_exc().strip().splitlines()[-1])
plt.plot([1, 2])

import warnings

import matplotlib.pyplot as plt
import numpy as np

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    np.log(np.array([0.0, 1.0]))
    warnings.warn("check the data", UserWarning)
print(len(caught), [str(w.message) for w in caught])
with np.errstate(divide="ignore", invalid="ignore"):
    ratio = np.array([1.0, 0.0]) / np.array([0.0, 0.0])
print(ratio)
plt.figure()
plt.plot(np.nan_to_num(ratio, posinf=9.0))
plt.title("after cleaning")

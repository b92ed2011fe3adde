import logging
import sys

import matplotlib.pyplot as plt
import numpy as np

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s:%(name)s:%(message)s", force=True)
logger = logging.getLogger("report")

logger.info("Loading data")
matrix = np.arange(30).reshape(5, 6) % 7
logger.info("Shape: %s", matrix.shape)
logging.getLogger("matplotlib").setLevel(logging.WARNING)
fig, ax = plt.subplots()
im = ax.matshow(matrix, cmap="Blues")
fig.colorbar(im)
plt.savefig("matrix.png")
logger.warning("Chart saved")
sys.stderr.write("done\n")

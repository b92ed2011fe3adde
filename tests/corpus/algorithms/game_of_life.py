"""Conway's life with numpy, three generations drawn."""
import matplotlib.pyplot as plt
import numpy as np


def step(board):
    neighbours = sum(
        np.roll(np.roll(board, dy, 0), dx, 1) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
    )
    return ((neighbours == 3) | ((board == 1) & (neighbours == 2))).astype(int)


board = np.zeros((12, 12), dtype=int)
board[[1, 2, 3, 3, 3], [2, 3, 1, 2, 3]] = 1
fig, axes = plt.subplots(1, 3, figsize=(9, 3))
for k, ax in enumerate(axes):
    ax.imshow(board, cmap="binary")
    ax.set_title(f"generation {4 * k}")
    print(board.sum(), np.argwhere(board).tolist())
    for _ in range(4):
        board = step(board)

"""A restricted import that the script catches itself, and goes on to draw."""
import matplotlib.pyplot as plt

try:
    import socket

    print("socket:", socket.AF_INET is not None)
except ImportError as error:
    print("no socket:", error)
plt.plot([1, 2, 4])

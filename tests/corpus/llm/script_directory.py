import os
import matplotlib.pyplot as plt

try:
    BASE_DIR = os.path.dirname(os.path.abspath(__file__))
except NameError:
    BASE_DIR = os.getcwd()

out_path = os.path.join(BASE_DIR, "out.png") if os.access(BASE_DIR, os.W_OK) else "out.png"
fig = plt.figure(figsize=(4, 3))
plt.plot([3, 1, 2])
plt.savefig("out.png")
print("saved:", os.path.basename(out_path), os.path.isfile("out.png"))

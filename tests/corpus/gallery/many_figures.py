"""Six figures with numbers and names chosen by the script, one closed again."""
import matplotlib.pyplot as plt

for number in (3, 1, 7):
    plt.figure(number, figsize=(3, 2))
    plt.plot([number, 1])
plt.figure("named", figsize=(3, 2))
plt.bar(["a"], [1])
plt.figure(3)
plt.title("three, once more")
plt.close(1)
print(plt.get_fignums(), plt.get_figlabels())

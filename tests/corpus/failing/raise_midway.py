"""Two figures are open when the data turns out to be wrong."""
import matplotlib.pyplot as plt

plt.figure(figsize=(4, 3))
plt.plot([1, 2, 3])
plt.title("finished")
fig, ax = plt.subplots(figsize=(4, 3))
ax.bar(["a", "b"], [1, 2])
print("before")
values = {"a": 1}
ax.set_title(values["title"])
print("never printed")

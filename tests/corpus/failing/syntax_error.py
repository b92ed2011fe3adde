import matplotlib.pyplot as plt

print("never printed")
for k in range(3)
    plt.plot([k])

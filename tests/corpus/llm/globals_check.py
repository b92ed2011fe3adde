import matplotlib.pyplot as plt

if 'results' not in globals():
    results = []

for n in (1, 2, 3):
    results.append(n ** 2)

try:
    previous_total
except NameError:
    previous_total = 0


def total():
    local_sum = sum(results)
    if 'local_sum' in locals():
        return local_sum + previous_total
    return -1


print("total:", total())
print("has results:", 'results' in globals(), "has nothing:", 'nothing' in globals())
print([type(r).__name__ for r in results], isinstance(results, list), callable(total), hasattr(results, 'append'))
plt.plot(results)
plt.title("results")

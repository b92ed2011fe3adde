"""An error three calls deep."""


def ratio(a, b):
    return a / b


def mean(values):
    return ratio(sum(values), len(values))


print(mean([1, 2, 3]))
print(mean([]))

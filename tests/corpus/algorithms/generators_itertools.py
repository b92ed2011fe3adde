"""Generators, itertools, comprehension scoping, send and yield from."""
import itertools
import operator
from collections.abc import Iterator


def primes() -> Iterator[int]:
    composites: dict[int, list[int]] = {}
    for n in itertools.count(2):
        if n not in composites:
            yield n
            composites[n * n] = [n]
        else:
            for p in composites.pop(n):
                composites.setdefault(n + p, []).append(p)


def averager():
    total, count, average = 0.0, 0, None
    while True:
        value = yield average
        if value is None:
            return total
        total, count = total + value, count + 1
        average = total / count


def outer():
    result = yield from averager()
    yield f"total {result}"


print(list(itertools.islice(primes(), 12)))
run = outer()
next(run)
print(run.send(10), run.send(20), run.send(None))
print(["".join(p) for p in itertools.permutations("abc", 2)])
print(list(itertools.accumulate([1, 2, 3, 4], operator.mul)), list(itertools.pairwise("xyz")))
print({key: len(list(group)) for key, group in itertools.groupby("aaabbc")})
print([x * y for x, y in itertools.product(range(3), repeat=2) if x < y], sum(1 for _ in itertools.combinations(range(6), 3)))
